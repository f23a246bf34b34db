/* serve_snapshot.c - snapshot.draft, make, list, show, verify: a reporting window as it was counted once. */
#include "node/serve_stats.h"

#include "node/casework/snapshot.h"
#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FAULTS_SHOWN = 1000,
    TOKEN_BYTES = 8,
    SLICE_MS = 50, /* of reading records, before others have their turn */
};

static const char seal_context[] = "vigil.snp.v1";

static const char *const collections[] = { "frontier", "versions", "figures" };

/* One element of a snapshot. */
struct page {
    const char *collection;
    uint32_t number;
    const char *table; /* of figures; else NULL */
    struct span text;
};

/* A snapshot that was taken and is not written yet: it is of what was durable when it was begun. */
struct snapshot_draft {
    struct arena arena;
    uint8_t token[TOKEN_BYTES];
    struct ident window;
    uint32_t as_of_day;
    size_t record_count;
    struct page *pages;
    size_t page_count;
    size_t page_room;
};

void
snapshot_draft_free(struct snapshot_draft **draft_in)
{
    struct snapshot_draft *draft = *draft_in;

    if (draft != NULL) {
        arena_free(&draft->arena);
        free(draft);
        *draft_in = NULL;
    }
}

static bool
no_memory(struct call *call)
{
    call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    return false;
}

/* By collection, then number. */
static int
page_order(const void *left, const void *right)
{
    const struct page *a = left;
    const struct page *b = right;
    size_t places[2] = { 0, 0 };

    while (strcmp(collections[places[0]], a->collection) != 0) {
        places[0]++;
    }
    while (strcmp(collections[places[1]], b->collection) != 0) {
        places[1]++;
    }
    if (places[0] != places[1]) {
        return places[0] < places[1] ? -1 : 1;
    }
    return a->number < b->number ? -1 : a->number > b->number;
}

/* --- taking one --- */

static bool
add_page(struct call *call, struct snapshot_draft *draft, const char *collection, uint32_t number,
         const char *table, struct span text)
{
    if (draft->page_count == draft->page_room) {
        size_t room = draft->page_room == 0 ? 64 : 2 * draft->page_room;
        struct page *pages = arena_take_array(&draft->arena, room, sizeof *pages);

        if (pages == NULL) {
            return no_memory(call);
        }
        if (draft->page_count > 0) {
            memcpy(pages, draft->pages, draft->page_count * sizeof *pages);
        }
        draft->pages = pages;
        draft->page_room = room;
    }
    draft->pages[draft->page_count] =
        (struct page){ collection, number, table, arena_copy(&draft->arena, text) };
    draft->page_count++;
    return !draft->arena.failed || no_memory(call);
}

/* A page of bytes is written as text. */
static bool
add_bytes(struct call *call, struct snapshot_draft *draft, const char *collection, uint32_t number,
          struct buf *cbor)
{
    struct buf text = { 0 };

    crypto_base64(&text, buf_span(cbor));
    bool good = !cbor->failed && !text.failed
                    ? add_page(call, draft, collection, number, NULL, buf_span(&text))
                    : no_memory(call);
    buf_free(&text);
    buf_clear(cbor);
    return good;
}

static bool
add_state(struct call *call, struct snapshot_draft *draft, const struct snapshot_state *state)
{
    struct buf cbor = { 0 };
    uint32_t number = 0;
    bool good = true;

    for (size_t n = 0; n < state->end_count && good; n += SNAPSHOT_PAGE_ENDS) {
        size_t left = state->end_count - n;

        snapshot_put_ends(&cbor, state->ends + n, left < SNAPSHOT_PAGE_ENDS ? left : SNAPSHOT_PAGE_ENDS);
        good = add_bytes(call, draft, "frontier", ++number, &cbor);
    }
    for (size_t n = 0; n < state->page_count && good; n++) {
        snapshot_put_page(&cbor, &state->pages[n]);
        good = add_bytes(call, draft, "versions", (uint32_t)n + 1, &cbor);
    }
    buf_free(&cbor);
    draft->record_count = state->record_count;
    return good;
}

/* The rows of one cube, on as many pages as they need: {"title":..,"rows":[..]}. */
static bool
add_cube(struct call *call, struct snapshot_draft *draft, const struct statistics *statistics, size_t cube,
         uint32_t *number)
{
    size_t count;
    const struct statistics_cube *description = &statistics_cubes(&count)[cube];
    json_t *rows = stats_rows(statistics, cube);
    bool good = true;
    size_t at = 0;

    do {
        json_t *some = json_array();
        size_t bytes = 0;

        for (; at < json_array_size(rows) && bytes < SNAPSHOT_PAGE_BYTES; at++) {
            bytes += json_dumpb(json_array_get(rows, at), NULL, 0, JSON_COMPACT) + 1;
            (void)json_array_append(some, json_array_get(rows, at));
        }
        json_t *page = json_pack("{s:s,s:o}", "title", description->title, "rows", some);
        char *text = json_dumps(page, JSON_COMPACT);
        good = text == NULL
                   ? no_memory(call)
                   : add_page(call, draft, "figures", ++*number, description->table, span_text(text));
        free(text);
        json_decref(page);
    } while (good && at < json_array_size(rows));
    json_decref(rows);
    return good;
}

static bool
add_figures(struct call *call, struct snapshot_draft *draft, const struct statistics *statistics)
{
    uint32_t number = 0;
    size_t count;
    bool good = true;

    (void)statistics_cubes(&count);
    for (size_t n = 0; n < count && good; n++) {
        good = add_cube(call, draft, statistics, n, &number);
    }
    return good;
}

/* A draft that is on its way. */
struct drafting {
    struct snapshot_draft *draft;
    struct snapshot_taking *taking;
    json_t *window; /* NULL: it is to be begun */
    size_t small_count;
    size_t guarding_count;
};

static void
drafting_free(void *self)
{
    struct drafting *drafting = self;

    snapshot_draft_free(&drafting->draft);
    snapshot_taking_free(&drafting->taking);
    json_decref(drafting->window);
    free(drafting);
}

/* NULL: the call failed. */
static struct drafting *
drafting_of(struct call *call)
{
    struct drafting *drafting = call->kept->state == NULL ? calloc(1, sizeof *drafting) : call->kept->state;

    if (drafting == NULL) {
        (void)no_memory(call);
        return NULL;
    }
    *call->kept = (struct call_kept){ drafting, drafting_free };
    return drafting;
}

/* The figures, and the ends of the logs that they were counted up to, are of the same moment; versions are read up to there. False: the
 * call failed, or was put off. */
static bool
begin_draft(struct call *call, struct drafting *drafting)
{
    const char *text = call_text_needed(call, "window");

    if (text == NULL || !stats_catch_up(call)) {
        return false;
    }
    struct snapshot_draft *draft = drafting->draft = calloc(1, sizeof *draft);
    drafting->taking = snapshot_taking_new();
    if (draft == NULL || drafting->taking == NULL) {
        return no_memory(call);
    }
    drafting->window = stats_window(call, text, &draft->window);
    draft->as_of_day = stats_today(call);
    world_random(call_options(call)->world, draft->token, sizeof draft->token);
    const struct statistics *statistics =
        drafting->window == NULL ? NULL : stats_release(call, &draft->window, draft->as_of_day);
    if (statistics == NULL || !add_figures(call, draft, statistics)) {
        return false;
    }
    drafting->small_count = statistics_small_count(statistics);
    drafting->guarding_count = statistics_guarding_count(statistics);
    enum err err = snapshot_taking_begin(drafting->taking, call->replica, call->txn, call_facts(call));
    if (err != ERR_OK) {
        call_fail(call, err, "", "the ends of logs could not be read: %s", err_text(err));
    }
    return !call->failed;
}

static void
end_draft(struct call *call, struct drafting *drafting)
{
    struct snapshot_draft *draft = drafting->draft;
    struct snapshot_draft **kept = call_snapshot(call);
    char token[2 * TOKEN_BYTES + 1];

    if (!add_state(call, draft, snapshot_taking_state(drafting->taking))) {
        return;
    }
    qsort(draft->pages, draft->page_count, sizeof *draft->pages, page_order);
    snapshot_draft_free(kept);
    *kept = draft;
    drafting->draft = NULL;
    bytes_hex(token, span_of(draft->token, sizeof draft->token));
    call_ok(call,
            json_pack("{s:s,s:O,s:I,s:I,s:I,s:I}", "draft", token, "window", drafting->window, "records",
                      (json_int_t)draft->record_count, "pages", (json_int_t)draft->page_count, "small",
                      (json_int_t)drafting->small_count, "guarding", (json_int_t)drafting->guarding_count));
}

void
call_snapshot_draft(struct call *call)
{
    const struct world *world = call_options(call)->world;
    uint64_t until_ms = world_steady_ms(world) + SLICE_MS;
    struct drafting *drafting = drafting_of(call);
    enum snapshot_progress progress;

    if (drafting == NULL || (drafting->window == NULL && !begin_draft(call, drafting))) {
        return;
    }
    enum err err =
        snapshot_taking_step(drafting->taking, call->replica, call->txn, world, until_ms, &progress);
    if (err != ERR_OK) {
        call_fail(call, err, "", "the versions of records could not be read: %s", err_text(err));
    } else if (progress == SNAPSHOT_DONE) {
        end_draft(call, drafting);
    } else {
        if (progress == SNAPSHOT_AGAIN) {
            drafting_free(drafting);
            *call->kept = (struct call_kept){ 0 };
        }
        call_later(call);
    }
}

/* --- writing it --- */

/* One save: values live as long as it. */
struct writing {
    struct call *call;
    const struct codebook_kind *kind;
    struct save_op ops[16];
    struct buf values[16];
    size_t count;
    struct ident record;
    bool begun;
};

static const struct codebook_field *
field_of(const struct call *call, const char *name)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "snapshot");

    return kind == NULL ? NULL : codebook_field_by_name(call->codebook, kind->number, name);
}

/* The value that a field is to have; it is put into what this gives. */
static struct buf *
put(struct writing *writing, const char *name, const uint8_t element[ELEMENT_ID_BYTES])
{
    const struct codebook_field *field = field_of(writing->call, name);
    struct save_op *op = &writing->ops[writing->count];

    *op = (struct save_op){ .code = OP_SET,
                            .target = { .collection = field->collection, .field = field->number } };
    if (element != NULL) {
        memcpy(op->target.element, element, ELEMENT_ID_BYTES);
    }
    buf_clear(&writing->values[writing->count]);
    return &writing->values[writing->count++];
}

static bool
write_save(struct writing *writing)
{
    struct call *call = writing->call;
    struct saved saved;
    size_t op = 0;

    for (size_t n = 0; n < writing->count; n++) {
        if (writing->ops[n].code == OP_SET) {
            writing->ops[n].value = buf_span(&writing->values[n]);
            if (writing->values[n].failed) {
                return no_memory(call);
            }
        }
    }
    const struct save save = { .compartment = *roster_shared_id(call->roster),
                               .record_id = writing->record,
                               .create = !writing->begun,
                               .actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0),
                               .ops = writing->ops,
                               .op_count = writing->count };
    enum err err = call->failed ? ERR_INVALID : replica_save(call->replica, &save, &saved, &op);
    if (err != ERR_OK) {
        call_fail(call, err,
                  err == ERR_DENIED ? "a device with a right to write in shared makes snapshots" : "",
                  "the snapshot could not be written: %s", err_text(err));
        return false;
    }
    writing->record = saved.record_id;
    writing->begun = true;
    writing->count = 0;
    return true;
}

static void
seal_of(const struct ident *window, uint32_t as_of_day, const struct page *pages, size_t count,
        struct hash *seal_out)
{
    struct buf all = { 0 };

    buf_put(&all, window->bytes, IDENT_BYTES);
    buf_put_u32(&all, as_of_day);
    for (size_t n = 0; n < count; n++) {
        struct span table = span_text(pages[n].table == NULL ? "" : pages[n].table);

        buf_put_text(&all, pages[n].collection);
        buf_put_u32(&all, pages[n].number);
        buf_put_varint(&all, table.size);
        buf_put_span(&all, table);
        buf_put_varint(&all, pages[n].text.size);
        buf_put_span(&all, pages[n].text);
    }
    CRYPTO_HASH(seal_out, seal_context, buf_span(&all));
    if (all.failed) {
        memset(seal_out, 0, sizeof *seal_out); /* the seal of nothing */
    }
    buf_free(&all);
}

/* "2026-04-30" of a day as facts count them. */
static void
put_day(struct buf *out, uint32_t day)
{
    time_t seconds = ((time_t)day - (time_t)fact_day(1970, 1, 1)) * 24 * 60 * 60;
    struct tm parts;
    char text[16] = "";

    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d", &parts);
    }
    cbor_put_text(out, span_text(text));
}

static void
put_hash(struct buf *out, const struct hash *hash)
{
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(hash));
    cbor_put_text(out, span_text(hex));
}

static bool
write_head(struct writing *writing, const struct snapshot_draft *draft)
{
    struct call *call = writing->call;
    struct hash codebook;
    struct hash seal;

    codebook_id(call->codebook, &codebook);
    seal_of(&draft->window, draft->as_of_day, draft->pages, draft->page_count, &seal);
    if (hash_is_zero(&seal)) {
        return no_memory(call);
    }
    writing->ops[0] = (struct save_op){ .code = OP_SET, .target = { .field = FIELD_KIND } };
    buf_clear(&writing->values[0]);
    cbor_put_uint(&writing->values[0], writing->kind->number);
    writing->count = 1;
    cbor_put_bytes(put(writing, "window", NULL), ident_span(&draft->window));
    put_day(put(writing, "as_of", NULL), draft->as_of_day);
    cbor_put_uint(put(writing, "threshold", NULL), STATISTICS_THRESHOLD);
    put_hash(put(writing, "codebook", NULL), &codebook);
    cbor_put_uint(put(writing, "rules", NULL), STATISTICS_RULES);
    cbor_put_uint(put(writing, "record_count", NULL), draft->record_count);
    put_hash(put(writing, "seal", NULL), &seal);
    return write_save(writing);
}

static bool
write_page(struct writing *writing, const struct page *page)
{
    static const char *const contents[] = { "ends", "list", "content" };
    struct call *call = writing->call;
    struct target target = {
        .collection =
            codebook_collection_by_name(call->codebook, writing->kind->number, page->collection)->number
    };
    char name[64];
    size_t which = 0;

    while (strcmp(collections[which], page->collection) != 0) {
        which++;
    }
    world_random(call_options(call)->world, target.element, sizeof target.element);
    writing->ops[0] = (struct save_op){ .code = OP_ADD, .target = target };
    writing->count = 1;
    (void)snprintf(name, sizeof name, "%s.page", page->collection);
    cbor_put_uint(put(writing, name, target.element), page->number);
    if (page->table != NULL) {
        cbor_put_text(put(writing, "figures.table", target.element), span_text(page->table));
    }
    (void)snprintf(name, sizeof name, "%s.%s", page->collection, contents[which]);
    cbor_put_text(put(writing, name, target.element), page->text);
    return write_save(writing);
}

void
call_snapshot_make(struct call *call)
{
    static const char unknown[] = "the draft is no longer here: ask for another one with snapshot.draft";
    const char *token = call_text_needed(call, "draft");
    struct snapshot_draft **kept = call_snapshot(call);
    struct writing writing = { .call = call, .kind = codebook_kind_by_name(call->codebook, "snapshot") };
    uint8_t wanted[TOKEN_BYTES];

    if (token == NULL) {
        return;
    }
    if (*kept == NULL || !bytes_from_hex(wanted, sizeof wanted, token) ||
        memcmp(wanted, (*kept)->token, sizeof wanted) != 0) {
        call_fail(call, ERR_ABSENT, "vigil snapshot make", "%s", unknown);
        return;
    }
    if (writing.kind == NULL || field_of(call, "figures.content") == NULL) {
        call_fail(call, ERR_INVALID, "have a newer codebook signed",
                  "the codebook in force has no snapshots");
        return;
    }
    if (call->own == NULL) {
        call_fail_without_own(call);
        return;
    }
    const struct snapshot_draft *draft = *kept;
    bool good = write_head(&writing, draft);
    for (size_t n = 0; n < draft->page_count && good; n++) {
        good = write_page(&writing, &draft->pages[n]);
    }
    for (size_t n = 0; n < sizeof writing.values / sizeof writing.values[0]; n++) {
        buf_free(&writing.values[n]);
    }
    if (good && call_audit(call, &(struct audit_event){ .what = AUDIT_SNAPSHOT,
                                                        .record = &writing.record,
                                                        .fields = "",
                                                        .filter = "",
                                                        .reason = "",
                                                        .count = draft->record_count })) {
        call_ok(call, json_pack("{s:o,s:I,s:I}", "snapshot", hex_json(ident_span(&writing.record)), "records",
                                (json_int_t)draft->record_count, "pages", (json_int_t)draft->page_count));
    }
}

/* --- reading one --- */

struct snapshot {
    struct call *call;
    struct named named;
    const struct record_view *view;
    struct ident window;
    uint32_t as_of_day;
    uint64_t threshold;
    uint64_t rules;
    struct span codebook; /* hex */
    struct span seal;
    struct page *pages; /* by collection, then number */
    size_t page_count;
};

/* The value of a field; of several the pick, as it is shown. */
static struct span
value_of(const struct snapshot *snapshot, const char *name, const struct target *element)
{
    const struct codebook_field *field = field_of(snapshot->call, name);
    struct target target = element == NULL ? (struct target){ 0 } : *element;

    target.field = field == NULL ? 0 : field->number;
    for (size_t n = 0; field != NULL && n < snapshot->view->target_count; n++) {
        const struct record_target *found = &snapshot->view->targets[n];

        if (target_compare(&found->target, &target) == 0 && found->shown_count > 0) {
            return found->shown[0];
        }
    }
    return span_of(NULL, 0);
}

static struct span
text_value(const struct snapshot *snapshot, const char *name, const struct target *element)
{
    struct cbor_reader in = cbor_reader_of(value_of(snapshot, name, element));

    return cbor_read_text(&in);
}

static uint64_t
number_value(const struct snapshot *snapshot, const char *name, const struct target *element)
{
    struct cbor_reader in = cbor_reader_of(value_of(snapshot, name, element));

    return cbor_read_uint(&in);
}

static const char *
copy_text(struct arena *arena, struct span text)
{
    char *copy = arena_take(arena, text.size + 1);

    if (copy != NULL) {
        if (text.size > 0) {
            memcpy(copy, text.data, text.size);
        }
        copy[text.size] = '\0';
    }
    return copy;
}

static bool
read_pages(struct snapshot *snapshot)
{
    static const char *const contents[] = { "frontier.ends", "versions.list", "figures.content" };
    static const char *const numbers[] = { "frontier.page", "versions.page", "figures.page" };
    struct call *call = snapshot->call;

    snapshot->pages =
        arena_take_array(&call->arena, snapshot->view->element_count + 1, sizeof *snapshot->pages);
    for (size_t n = 0; n < snapshot->view->element_count && snapshot->pages != NULL; n++) {
        const struct record_element *element = &snapshot->view->elements[n];
        struct target target = { .collection = element->collection };

        memcpy(target.element, element->element, ELEMENT_ID_BYTES);
        for (size_t c = 0; c < 3; c++) {
            const struct codebook_field *field = field_of(call, contents[c]);

            if (field == NULL || field->collection != element->collection) {
                continue;
            }
            struct page *page = &snapshot->pages[snapshot->page_count];
            *page = (struct page){ .collection = collections[c],
                                   .number = (uint32_t)number_value(snapshot, numbers[c], &target),
                                   .text = text_value(snapshot, contents[c], &target) };
            if (c == 2) {
                page->table = copy_text(&call->arena, text_value(snapshot, "figures.table", &target));
            }
            snapshot->page_count++;
        }
    }
    if (call->arena.failed) {
        return no_memory(call);
    }
    qsort(snapshot->pages, snapshot->page_count, sizeof *snapshot->pages, page_order);
    return true;
}

/* The snapshot that member "snapshot" names. */
static bool
read_snapshot(struct call *call, struct snapshot *snapshot)
{
    const char *text = call_text_needed(call, "snapshot");
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "snapshot");
    struct replica_view view;

    *snapshot = (struct snapshot){ .call = call };
    if (text == NULL || !call_named(call, text, &snapshot->named) ||
        !call_view(call, &snapshot->named, &view)) {
        return false;
    }
    if (kind == NULL || view_kind(&view) != kind->number) {
        call_fail(call, ERR_INVALID, "vigil snapshot list shows them", "%.60s is no snapshot", text);
        return false;
    }
    if (view.restricted) {
        call_fail_restricted(call);
        return false;
    }
    snapshot->view = view.open;
    struct cbor_reader in = cbor_reader_of(value_of(snapshot, "window", NULL));
    cbor_read_exact(&in, snapshot->window.bytes, IDENT_BYTES);
    snapshot->as_of_day = fact_day_of(text_value(snapshot, "as_of", NULL));
    snapshot->threshold = number_value(snapshot, "threshold", NULL);
    snapshot->rules = number_value(snapshot, "rules", NULL);
    snapshot->codebook = text_value(snapshot, "codebook", NULL);
    snapshot->seal = text_value(snapshot, "seal", NULL);
    return read_pages(snapshot);
}

/* Does the seal fit what is here of it? */
static bool
is_whole(const struct snapshot *snapshot)
{
    char hex[2 * HASH_BYTES + 1];
    struct hash seal;

    seal_of(&snapshot->window, snapshot->as_of_day, snapshot->pages, snapshot->page_count, &seal);
    bytes_hex(hex, hash_span(&seal));
    return span_equal(span_text(hex), snapshot->seal);
}

static json_t *
snapshot_row(const struct snapshot *snapshot)
{
    struct call *call = snapshot->call;
    struct record_summary summary;
    enum err err =
        record_summary_read(call->txn, call->codebook, snapshot->named.record_no, &call->arena, &summary);

    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return NULL;
    }
    return row_json(call, &summary, summary_conflicts(call, &summary));
}

/* Who wrote it: the device of the entry that says which window it is of. */
static json_t *
maker_json(const struct snapshot *snapshot)
{
    const struct codebook_field *field = field_of(snapshot->call, "window");

    for (size_t n = 0; field != NULL && n < snapshot->view->target_count; n++) {
        const struct record_target *target = &snapshot->view->targets[n];

        if (target->target.collection == 0 && target->target.field == field->number &&
            target->value_count > 0) {
            return device_json(snapshot->call->roster, &target->values[0].entry->device_id);
        }
    }
    return json_null();
}

/* [{"table","title","rows":[[value,...,count or null],...]}]; a page that does not read is left out. */
static json_t *
figures_json(const struct snapshot *snapshot)
{
    json_t *figures = json_array();

    for (size_t n = 0; n < snapshot->page_count; n++) {
        const struct page *page = &snapshot->pages[n];
        json_t *one =
            page->table == NULL ? NULL : json_loadb((const char *)page->text.data, page->text.size, 0, NULL);
        const char *title = json_string_value(json_object_get(one, "title"));
        const json_t *rows = json_object_get(one, "rows");
        json_t *last = json_array_get(figures, json_array_size(figures) - 1);

        if (title != NULL && json_is_array(rows)) {
            const char *last_title = json_string_value(json_object_get(last, "title"));

            if (last_title != NULL && strcmp(last_title, title) == 0) {
                (void)json_array_extend(json_object_get(last, "rows"), (json_t *)(uintptr_t)rows);
            } else {
                (void)json_array_append_new(
                    figures, json_pack("{s:s,s:s,s:O}", "table", page->table, "title", title, "rows", rows));
            }
        }
        json_decref(one);
    }
    return figures;
}

void
call_snapshot_list(struct call *call)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "snapshot");
    json_t *rows = json_array();
    struct buf token = { 0 };
    struct index_walk walk;
    uint32_t record_no;

    cbor_put_uint(&token, kind == NULL ? 0 : kind->number);
    const struct index_term term = { FIELD_KIND, buf_span(&token) };
    index_walk_init(&walk, call->txn, &term, 1, UINT32_MAX);
    while (index_walk_next(&walk, &record_no)) {
        struct record_summary summary;

        if (record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary) == ERR_OK) {
            (void)json_array_append_new(rows, row_json(call, &summary, summary_conflicts(call, &summary)));
        }
    }
    index_walk_end(&walk);
    buf_free(&token);
    call_ok(call, json_pack("{s:o}", "snapshots", rows));
}

void
call_snapshot_show(struct call *call)
{
    struct snapshot snapshot;

    if (!read_snapshot(call, &snapshot)) {
        return;
    }
    json_t *row = snapshot_row(&snapshot);
    if (row != NULL) {
        call_ok(call, json_pack("{s:o,s:o,s:I,s:I,s:b,s:o}", "snapshot", row, "device", maker_json(&snapshot),
                                "threshold", (json_int_t)snapshot.threshold, "pages",
                                (json_int_t)snapshot.page_count, "whole", is_whole(&snapshot), "figures",
                                figures_json(&snapshot)));
    }
}

/* --- checking one --- */

static bool
read_claim(struct snapshot *snapshot, struct snapshot_claim *claim)
{
    struct call *call = snapshot->call;
    struct snapshot_listed *pages = arena_take_array(&call->arena, snapshot->page_count + 1, sizeof *pages);
    struct snapshot_end *ends = NULL;
    bool good = pages != NULL;

    for (size_t n = 0; n < snapshot->page_count && good; n++) {
        const struct page *page = &snapshot->pages[n];
        struct buf cbor = { 0 };

        if (page->table != NULL) {
            continue;
        }
        good = crypto_base64_read(&cbor, page->text);
        struct span kept = arena_copy_buf(&call->arena, &cbor);
        buf_free(&cbor);
        if (good && strcmp(page->collection, "versions") == 0) {
            good = snapshot_read_page(kept, &pages[claim->page_count]);
            claim->page_count++;
        } else if (good) {
            struct snapshot_end *more;
            size_t count;

            good = snapshot_read_ends(kept, &call->arena, &more, &count);
            struct snapshot_end *all =
                good ? arena_take_array(&call->arena, claim->end_count + count + 1, sizeof *all) : NULL;
            good = all != NULL;
            if (good && claim->end_count > 0) {
                memcpy(all, ends, claim->end_count * sizeof *all);
            }
            if (good && count > 0) {
                memcpy(all + claim->end_count, more, count * sizeof *all);
            }
            ends = all;
            claim->end_count += good ? count : 0;
        }
    }
    claim->pages = pages;
    claim->ends = ends;
    if (!good) {
        call_fail(call, call->arena.failed ? ERR_MEMORY : ERR_INVALID,
                  "it is to be made again, by whoever made it",
                  "the snapshot is damaged: a page does not read");
    }
    return good;
}

/* The number of a row, -1: it is not shown; 0 where there is no such row. */
static json_int_t
find_count(const json_t *rows, const json_t *wanted)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        size_t n = 0;

        if (json_array_size(row) != json_array_size(wanted)) {
            continue;
        }
        while (n + 1 < json_array_size(row) &&
               json_equal(json_array_get(row, n), json_array_get(wanted, n))) {
            n++;
        }
        if (n + 1 == json_array_size(row)) {
            const json_t *count = json_array_get(row, n);

            return json_is_null(count) ? -1 : json_integer_value(count);
        }
    }
    return 0;
}

static json_t *
count_json(json_int_t count)
{
    return count < 0 ? json_null() : json_integer(count);
}

static void
add_wrong(json_t *wrong, const struct statistics_cube *cube, const json_t *row, json_int_t published,
          json_int_t computed)
{
    json_t *values = json_array();

    for (size_t n = 0; n + 1 < json_array_size(row); n++) {
        (void)json_array_append(values, json_array_get(row, n));
    }
    (void)json_array_append_new(wrong, json_pack("{s:s,s:s,s:o,s:o,s:o}", "table", cube->table, "title",
                                                 cube->title, "values", values, "published",
                                                 count_json(published), "computed", count_json(computed)));
}

/* Each figure of one cube, published or computed. */
static size_t
compare_cube(const struct statistics_cube *cube, const json_t *published, const json_t *computed,
             json_t *wrong)
{
    size_t checked = 0;
    size_t index;
    json_t *row;

    json_array_foreach(computed, index, row)
    {
        json_int_t here = find_count(computed, row);
        json_int_t there = find_count(published, row);

        checked++;
        if (here != there) {
            add_wrong(wrong, cube, row, there, here);
        }
    }
    json_array_foreach(published, index, row)
    {
        json_int_t there = find_count(published, row);

        if (find_count(computed, row) == 0 && there != 0) {
            checked++;
            add_wrong(wrong, cube, row, there, 0);
        }
    }
    return checked;
}

static const json_t *
published_rows(const json_t *figures, const char *title)
{
    size_t index;
    json_t *one;

    json_array_foreach(figures, index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "title")), title) == 0) {
            return json_object_get(one, "rows");
        }
    }
    return NULL;
}

static size_t
compare_figures(const struct snapshot *snapshot, const struct statistics *statistics, json_t *wrong)
{
    json_t *figures = figures_json(snapshot);
    size_t count;
    const struct statistics_cube *cubes = statistics_cubes(&count);
    size_t checked = 0;

    for (size_t n = 0; n < count; n++) {
        json_t *rows = stats_rows(statistics, n);

        checked += compare_cube(&cubes[n], published_rows(figures, cubes[n].title), rows, wrong);
        json_decref(rows);
    }
    json_decref(figures);
    return checked;
}

static json_t *
faults_json(struct call *call, const struct snapshot_fault *faults, size_t count)
{
    static const char *const words[] = { "", "missing", "changed", "unlisted", "unreadable", "log", "page" };
    json_t *list = json_array();

    for (size_t n = 0; n < count && n < FAULTS_SHOWN; n++) {
        const struct snapshot_fault *fault = &faults[n];
        const struct roster_compartment *compartment = roster_compartment(call->roster, &fault->compartment);

        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:o,s:I}", "how", words[fault->how], "compartment",
                      compartment == NULL ? "" : compartment->name, "record",
                      fault->how == SNAPSHOT_UNREADABLE ? json_null() : hex_json(span_of(fault->record, 8)),
                      "count", (json_int_t)fault->count));
    }
    return list;
}

/* What was counted by other rules, or by another codebook, this program cannot count again. */
static bool
check_rules(struct snapshot *snapshot)
{
    struct call *call = snapshot->call;
    char hex[2 * HASH_BYTES + 1];
    struct hash id;

    codebook_id(call->codebook, &id);
    bytes_hex(hex, hash_span(&id));
    if (snapshot->rules != STATISTICS_RULES) {
        call_fail(call, ERR_INVALID, "check it with the version of the program that made it",
                  "its tables are counted by other rules than those of this version");
    } else if (!span_equal(span_text(hex), snapshot->codebook)) {
        call_fail(call, ERR_INVALID, "check it on a node where the codebook of then is in force",
                  "it was counted by another codebook than the one in force");
    } else if (snapshot->threshold > UINT32_MAX || snapshot->as_of_day == 0) {
        call_fail(call, ERR_INVALID, "it is to be made again, by whoever made it", "the snapshot is damaged");
    }
    return !call->failed;
}

static void
answer_check(struct snapshot *snapshot, const struct snapshot_replay *replay)
{
    struct call *call = snapshot->call;
    const struct facts *facts = snapshot_replay_facts(replay);
    size_t fault_count;
    const struct snapshot_fault *faults = snapshot_replay_faults(replay, &fault_count);
    struct statistics *statistics = NULL;
    const struct statistics_options options = { .codebook = call->codebook,
                                                .window = facts_name(facts, &snapshot->window),
                                                .as_of_day = snapshot->as_of_day,
                                                .threshold = (uint32_t)snapshot->threshold };

    if (options.window == 0) {
        call_fail(call, ERR_ABSENT, "vigil sync status tells what is missing here",
                  "the reporting window of this snapshot is not here");
        return;
    }
    enum err err = statistics_new(&statistics, facts, &options);
    if (err != ERR_OK) {
        call_fail(call, err, "", "the tables could not be made: %s", err_text(err));
        return;
    }
    json_t *wrong = json_array();
    size_t checked = compare_figures(snapshot, statistics, wrong);
    bool whole = is_whole(snapshot);
    bool agrees = whole && fault_count == 0 && json_array_size(wrong) == 0;
    statistics_free(&statistics);
    if (!call_audit(call, &(struct audit_event){ .what = AUDIT_SNAPSHOT,
                                                 .record = &snapshot->named.record_id,
                                                 .fields = "",
                                                 .filter = "",
                                                 .reason = agrees ? "agrees" : "differs" })) {
        json_decref(wrong);
        return;
    }
    call_ok(call, json_pack("{s:b,s:b,s:I,s:o,s:I,s:o}", "agrees", agrees, "whole", whole, "figures",
                            (json_int_t)checked, "wrong", wrong, "faulty", (json_int_t)fault_count, "faults",
                            faults_json(call, faults, fault_count)));
}

/* A snapshot that is being checked, as it was read when that began. */
struct checking {
    struct arena arena;
    struct snapshot snapshot;
    struct snapshot_claim claim;
    struct snapshot_replay *replay; /* NULL: it is to be begun */
};

static void
checking_free(void *self)
{
    struct checking *checking = self;

    snapshot_replay_free(&checking->replay);
    arena_free(&checking->arena);
    free(checking);
}

/* NULL: the call failed. */
static struct checking *
checking_of(struct call *call)
{
    struct checking *checking = call->kept->state;

    if (checking != NULL) {
        checking->snapshot.call = call;
        return check_rules(&checking->snapshot) ? checking : NULL;
    }
    checking = calloc(1, sizeof *checking);
    if (checking == NULL) {
        (void)no_memory(call);
        return NULL;
    }
    *call->kept = (struct call_kept){ checking, checking_free };
    if (!read_snapshot(call, &checking->snapshot) || !check_rules(&checking->snapshot) ||
        !read_claim(&checking->snapshot, &checking->claim)) {
        return NULL;
    }
    checking->replay = snapshot_replay_new(&checking->claim);
    if (checking->replay == NULL) {
        (void)no_memory(call);
        return NULL;
    }
    checking->arena = call->arena; /* what was read outlives this slice */
    call->arena = (struct arena){ 0 };
    return checking;
}

void
call_snapshot_verify(struct call *call)
{
    const struct world *world = call_options(call)->world;
    struct checking *checking = checking_of(call);
    enum snapshot_progress progress;

    if (checking == NULL) {
        return;
    }
    call_pause(call);
    enum err err = snapshot_replay_step(checking->replay, call->replica, world,
                                        world_steady_ms(world) + SLICE_MS, &progress);
    if (!call_resume(call)) {
        return;
    }
    if (err != ERR_OK) {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "",
                  "the frozen versions could not be read: %s", err_text(err));
    } else if (progress == SNAPSHOT_DONE) {
        answer_check(&checking->snapshot, checking->replay);
    } else {
        call_later(call);
    }
}
