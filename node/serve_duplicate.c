/* serve_duplicate.c - records that may be one: duplicate.list, and what people say of them: link, unlink, reject. */
#include "node/call.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LIMIT_DEFAULT = 50,
    LIMIT_MAX = 500,
    SLICES_MAX = 16, /* before answering, so that what was just saved is compared */
    CURSOR_BYTES = 40,
};

static const char *const state_names[] = {
    [DUPLICATE_CANDIDATE] = "candidate",
    [DUPLICATE_LINKED] = "linked",
    [DUPLICATE_REJECTED] = "rejected",
    [DUPLICATE_DISPUTED] = "disputed",
};

/* --- duplicate.list --- */

static bool
catch_up(struct call *call)
{
    enum err err = ERR_OK;

    call_pause(call);
    for (int n = 0; n < SLICES_MAX && err == ERR_OK; n++) {
        err = duplicate_read(call_duplicate(call), call->replica, world_steady_ms(call_options(call)->world));
    }
    if (!call_resume(call)) {
        return false;
    }
    if (err == ERR_INVALID) {
        call_fail(call, err, "install the package libicu72 whole, and start the node again",
                  "no names can be compared: the data of ICU or of a stemmer is not installed");
    } else if (err != ERR_OK && err != ERR_ABSENT) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    return !call->failed;
}

/* The values of the record's names of which a part was found in the other's. */
static json_t *
matched_json(struct call *call, const struct replica_view *view, const struct duplicate_score *score)
{
    const struct codebook_field *field = codebook_field_by_name(call->codebook, view_kind(view), "name.text");
    struct duplicate_part parts[32];
    json_t *names = json_array();
    const struct record_view *const halves[2] = { view->open, view->protected_half };

    for (int half = 0; half < 2 && field != NULL; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->target_count; n++) {
            const struct record_target *target = &halves[half]->targets[n];

            for (size_t v = 0; target->field == field && v < target->shown_count; v++) {
                struct cbor_reader in = cbor_reader_of(target->shown[v]);
                size_t count = duplicate_parts(duplicate_maker_of(call_duplicate(call)), cbor_read_text(&in),
                                               parts, sizeof parts / sizeof parts[0]);
                bool matches = false;

                for (size_t part = 0; part < count && !matches; part++) {
                    for (size_t s = 0; s < score->sound_count && !matches; s++) {
                        matches = parts[part].sound == score->sounds[s];
                    }
                }
                if (matches) {
                    call_reads(call, field, target->shown[v]);
                    (void)json_array_append_new(names, value_json(call->codebook, field, target->shown[v]));
                }
            }
        }
    }
    return names;
}

static json_t *
reasons_json(const struct duplicate_score *score)
{
    json_t *reasons = json_array();

    for (size_t n = 0; n < score->reason_count; n++) {
        const struct duplicate_rule_text *rule = &duplicate_rules[score->reasons[n]];

        (void)json_array_append_new(reasons, json_pack("{s:s,s:i,s:s}", "reason", rule->name, "points",
                                                       rule->points, "text", rule->text));
    }
    return reasons;
}

/* One of a pair as lists show it, and with `names` what of its names matched. NULL: it is not there any more, is restricted
 * since, or another has its number. */
static json_t *
side_json(struct call *call, uint32_t record_no, bool names, const struct duplicate_score *score)
{
    struct record_summary summary;
    struct replica_view view;
    struct ident record_id;
    enum err err = record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary);

    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        return NULL;
    }
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return NULL;
    }
    if (summary.restricted || !duplicate_record(call_duplicate(call), record_no, &record_id) ||
        !ident_equal(&record_id, &summary.record_id)) {
        return NULL;
    }
    json_t *row = row_json(call, &summary, summary_conflicts(call, &summary));
    if (names && score->sound_count > 0) {
        const struct named named = { .record_no = record_no,
                                     .compartment = summary.compartment,
                                     .record_id = summary.record_id };

        if (call_view(call, &named, &view) && !view.restricted) {
            (void)json_object_set_new(row, "matched", matched_json(call, &view, score));
        }
    }
    return row;
}

static void
add_pair(struct call *call, const struct duplicate_pair *pair, bool names, json_t *pairs)
{
    struct duplicate_score score;

    if (!duplicate_explain(call_duplicate(call), pair->a, pair->b, &score)) {
        return;
    }
    json_t *a = side_json(call, pair->a, names, &score);
    json_t *b = a == NULL ? NULL : side_json(call, pair->b, names, &score);
    if (b == NULL) {
        json_decref(a);
        return;
    }
    (void)json_array_append_new(pairs, json_pack("{s:o,s:o,s:i,s:s,s:o}", "a", a, "b", b, "score",
                                                 pair->points, "state", state_names[pair->state], "reasons",
                                                 reasons_json(&score)));
}

/* "87.12.45": points and numbers of the last pair of the page before. */
static bool
read_cursor(struct call *call, struct duplicate_query *query)
{
    const char *text = call_text(call, "after");
    char end = '\0';

    query->begun = text != NULL;
    if (text != NULL && sscanf(text, "%d.%" SCNu32 ".%" SCNu32 "%c", &query->after.points, &query->after.a,
                               &query->after.b, &end) != 3) {
        call_usage(call, "\"after\" is not the \"next\" of an answer");
    }
    return !call->failed;
}

static bool
read_kind(struct call *call, struct duplicate_query *query)
{
    const char *kind = call_text(call, "kind");

    if (kind == NULL) {
        return !call->failed;
    }
    if (strcmp(kind, "person") == 0) {
        query->kind = DUPLICATE_PERSONS;
    } else if (strcmp(kind, "case") == 0) {
        query->kind = DUPLICATE_CASES;
    } else {
        call_fail(call, ERR_INVALID, "give person or case",
                  "duplicates are looked for among persons and cases");
    }
    return !call->failed;
}

void
call_duplicate_list(struct call *call)
{
    struct duplicate *duplicate = call_duplicate(call);
    struct duplicate_query query = { .all = call_flag(call, "all") };
    size_t limit = (size_t)call_number(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    bool names = call_flag(call, "names");
    char cursor[CURSOR_BYTES] = "";
    struct named named;
    size_t count = 0;
    uint64_t left_off = 0;

    if (call->failed || !read_cursor(call, &query) || !read_kind(call, &query) || !catch_up(call)) {
        return;
    }
    if (json_object_get(call->body, "record") != NULL) {
        if (!call_record(call, &named)) {
            return;
        }
        query.record_no = named.record_no;
    }
    struct duplicate_pair *pairs = arena_take_array(&call->arena, limit, sizeof *pairs);
    enum err err =
        pairs == NULL ? ERR_MEMORY : duplicate_list(duplicate, &query, pairs, limit, &count, &left_off);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    json_t *rows = json_array();
    for (size_t n = 0; n < count && !call->failed; n++) {
        add_pair(call, &pairs[n], names, rows);
    }
    if (left_off > 0 && count > 0) {
        (void)snprintf(cursor, sizeof cursor, "%d.%" PRIu32 ".%" PRIu32, pairs[count - 1].points,
                       pairs[count - 1].a, pairs[count - 1].b);
    }
    if (!call->failed && call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    call_ok(call,
            json_pack("{s:o,s:o,s:I,s:i,s:i,s:I}", "pairs", rows, "next",
                      cursor[0] == '\0' ? json_null() : json_string(cursor), "left_off", (json_int_t)left_off,
                      "threshold", DUPLICATE_THRESHOLD, "from_points", duplicate_floor(duplicate), "left",
                      (json_int_t)duplicate_left(duplicate, call->replica)));
}

/* --- what somebody says of two records --- */

enum { OPS_MAX = CHANGE_OPS_MAX - 8 };

/* One of the two, with what is to be changed in it. */
struct part {
    struct named named;
    struct replica_view view;
    bool writable;
    bool same; /* it says so of the other, once it is saved */
    bool not_same;
    struct save_op *ops;
    size_t op_count;
};

static bool
read_part(struct call *call, const char *name, struct part *part)
{
    const char *text = call_text_needed(call, name);

    if (text == NULL || !call_named(call, text, &part->named) ||
        !call_view(call, &part->named, &part->view)) {
        return false;
    }
    if (part->view.restricted) {
        call_fail_restricted(call);
        return false;
    }
    part->writable =
        call->own != NULL && roster_level(call->roster, call->own, &part->named.compartment) >= LEVEL_WRITE;
    part->ops = arena_take_array(&call->arena, OPS_MAX, sizeof *part->ops);
    if (part->ops == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    return !call->failed;
}

static bool
read_parts(struct call *call, struct part parts[2])
{
    if (!read_part(call, "a", &parts[0]) || !read_part(call, "b", &parts[1])) {
        return false;
    }
    uint32_t kind = view_kind(&parts[0].view);
    const char *name = kind_name(call->codebook, kind);
    if (ident_equal(&parts[0].named.record_id, &parts[1].named.record_id)) {
        call_fail(call, ERR_INVALID, "name two", "both names are of one record");
    } else if (kind == 0 || kind != view_kind(&parts[1].view)) {
        call_fail(call, ERR_INVALID, "name two persons, or two cases",
                  "records of two kinds, or of a kind that is not known here, are never the same");
    } else if (strcmp(name, "person") != 0 && strcmp(name, "case") != 0) {
        call_fail(call, ERR_INVALID, "name two persons, or two cases",
                  "duplicates are persons or cases, and these are neither");
    } else if (call->own == NULL) {
        call_fail_without_own(call);
    }
    return !call->failed;
}

static void
add_op(struct call *call, struct part *part, const struct save_op *op)
{
    if (part->op_count == OPS_MAX) {
        call_fail(call, ERR_FULL, "remove some of them by themselves", "a record says too much of the other");
        return;
    }
    part->ops[part->op_count] = *op;
    part->op_count++;
}

/* Is this target a field of it that names the other record? */
static bool
names_other(const struct record_target *target, uint32_t field, struct span other)
{
    if (target->field == NULL || target->field->number != field) {
        return false;
    }
    for (size_t n = 0; n < target->shown_count; n++) {
        if (span_equal(target->shown[n], other)) {
            return true;
        }
    }
    return false;
}

/* Take back whatever it says so of the other. Gives how much that is. */
static size_t
take_back(struct call *call, struct part *part, uint32_t field, struct span other, bool really)
{
    const struct record_view *half = part->view.open;
    size_t count = 0;

    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        if (names_other(target, field, other)) {
            struct save_op op = { .code = OP_REMOVE, .target = target->target };

            op.target.field = 0;
            count++;
            if (really) {
                add_op(call, part, &op);
            }
        }
    }
    return count;
}

/* Say something of the other: an element whose id follows from it, so that two offices that say one thing say it once. */
static void
say(struct call *call, struct part *part, uint32_t collection, uint32_t field, struct span other,
    struct span reason)
{
    struct save_op op = { .code = OP_ADD, .target = { .collection = collection } };

    codebook_element(other, op.target.element);
    add_op(call, part, &op);
    op.code = OP_SET;
    op.resolve = true;
    op.target.field = field;
    op.value = other;
    add_op(call, part, &op);
    if (reason.size > 0) {
        op.target.field = FIELD_NOT_SAME_AS_REASON;
        op.value = reason;
        add_op(call, part, &op);
    }
}

enum saying { SAY_LINK, SAY_UNLINK, SAY_REJECT };

/* What is to be changed in one of them. */
static void
plan(struct call *call, struct part *part, const struct part *other_part, enum saying saying,
     struct span reason)
{
    struct buf cbor = { 0 };

    cbor_put_bytes(&cbor, ident_span(&other_part->named.record_id));
    struct span other = arena_copy_buf(&call->arena, &cbor);
    buf_free(&cbor);
    part->same = take_back(call, part, FIELD_SAME_AS, other, false) > 0;
    part->not_same = take_back(call, part, FIELD_NOT_SAME_AS, other, false) > 0;
    if (!part->writable) {
        return;
    }
    if (saying != SAY_LINK && part->same) {
        (void)take_back(call, part, FIELD_SAME_AS, other, true);
        part->same = false;
    }
    if (saying != SAY_REJECT && part->not_same) {
        (void)take_back(call, part, FIELD_NOT_SAME_AS, other, true);
        part->not_same = false;
    }
    if (saying == SAY_LINK && !part->same) {
        say(call, part, COLLECTION_SAME_AS, FIELD_SAME_AS, other, span_of(NULL, 0));
        part->same = true;
    }
    if (saying == SAY_REJECT && (!part->not_same || reason.size > 0)) {
        say(call, part, COLLECTION_NOT_SAME_AS, FIELD_NOT_SAME_AS, other, reason);
        part->not_same = true;
    }
}

/* Why nothing can be done: what would have to be changed stands where this node may not write, or is not there. */
static void
refuse(struct call *call, const struct part parts[2], enum saying saying)
{
    bool said = parts[0].same || parts[1].same || parts[0].not_same || parts[1].not_same;

    if (!parts[0].writable && !parts[1].writable) {
        call_fail(call, ERR_DENIED, "ask an office that holds one of them",
                  "this node may write in neither of the two records");
    } else if (saying == SAY_UNLINK && said) {
        call_fail(call, ERR_DENIED,
                  "ask the office that holds it; vigil duplicate reject says that they are two",
                  "what is said of them stands in a record in which this node may not write");
    } else if (saying == SAY_UNLINK) {
        call_fail(
            call, ERR_ABSENT,
            "vigil duplicate list RECORD --all shows what is said; records may be one by way of a third",
            "nobody has said of these two that they are one, or that they are two");
    }
}

static json_t *
number_of(const struct part *part)
{
    char hex[2 * IDENT_BYTES + 1];

    bytes_hex(hex, ident_span(&part->named.record_id));
    return json_string(part->named.number[0] == '\0' ? hex : part->named.number);
}

/* The reason of a rejection. Its values are few, and name nobody. */
static bool
read_reason(struct call *call, struct span *reason_out)
{
    const struct codebook_field *field = codebook_field(call->codebook, FIELD_NOT_SAME_AS_REASON);
    const json_t *json = json_object_get(call->body, "reason");
    struct value_fault fault;
    struct buf cbor = { 0 };

    *reason_out = span_of(NULL, 0);
    if (json == NULL || json_is_null(json) || field == NULL) {
        return true;
    }
    enum err err = value_parse(call->codebook, field, json, &cbor, &fault);
    if (err == ERR_INVALID) {
        call_fail(call, err, "vigil codebook show lists the reasons under not_same_reason", "%s", fault.text);
    } else if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    } else {
        *reason_out = arena_copy_buf(&call->arena, &cbor);
    }
    buf_free(&cbor);
    return err == ERR_OK;
}

static void
note_in_audit(struct call *call, const struct part parts[2], enum saying saying)
{
    static const char *const words[] = {
        [SAY_LINK] = "link", [SAY_UNLINK] = "unlink", [SAY_REJECT] = "reject"
    };
    const char *reason = call_text(call, "reason");
    char said[AUDIT_TEXT_BYTES];

    (void)snprintf(said, sizeof said, "%s%s%.100s", words[saying], reason == NULL ? "" : ": ",
                   reason == NULL ? "" : reason);
    for (int n = 0; n < 2; n++) {
        (void)call_audit(call,
                         &(struct audit_event){ .what = AUDIT_LINK,
                                                .record = &parts[n].named.record_id,
                                                .fields = saying == SAY_REJECT ? "not_same_as" : "same_as",
                                                .filter = "",
                                                .reason = said,
                                                .count = 2 });
    }
}

/* Both in one turn: whole or not at all. */
static void
save_parts(struct call *call, struct part parts[2], json_t *written, json_t *unwritten)
{
    for (int n = 0; n < 2 && !call->failed; n++) {
        const struct save save = { .compartment = parts[n].named.compartment,
                                   .record_id = parts[n].named.record_id,
                                   .actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0),
                                   .ops = parts[n].ops,
                                   .op_count = parts[n].op_count };

        if (!parts[n].writable) {
            (void)json_array_append_new(unwritten, number_of(&parts[n]));
        } else if (parts[n].op_count > 0 && !call->failed) {
            call_save(call, &save, parts[n].named.number);
            (void)json_array_append_new(written, number_of(&parts[n]));
        }
    }
}

static void
say_of_two(struct call *call, enum saying saying)
{
    struct part parts[2];
    struct span reason;

    memset(parts, 0, sizeof parts);
    if (!read_parts(call, parts) || !read_reason(call, &reason)) {
        return;
    }
    for (int n = 0; n < 2 && !call->failed; n++) {
        plan(call, &parts[n], &parts[1 - n], saying, reason);
    }
    if (!call->failed && call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    bool changes = parts[0].op_count + parts[1].op_count > 0;
    if (!call->failed && !changes) {
        refuse(call, parts, saying);
    }
    json_t *written = json_array();
    json_t *unwritten = json_array();
    if (!call->failed) {
        save_parts(call, parts, written, unwritten);
    }
    if (!call->failed && changes) {
        note_in_audit(call, parts, saying);
    }
    bool same = parts[0].same || parts[1].same;
    bool not_same = parts[0].not_same || parts[1].not_same;
    enum duplicate_state state = same && not_same ? DUPLICATE_DISPUTED
                                 : same           ? DUPLICATE_LINKED
                                 : not_same       ? DUPLICATE_REJECTED
                                                  : DUPLICATE_CANDIDATE;
    call_ok(call, json_pack("{s:o,s:o,s:s,s:o,s:o}", "a", number_of(&parts[0]), "b", number_of(&parts[1]),
                            "state", state_names[state], "written", written, "not_written", unwritten));
}

void
call_duplicate_link(struct call *call)
{
    say_of_two(call, SAY_LINK);
}

void
call_duplicate_unlink(struct call *call)
{
    say_of_two(call, SAY_UNLINK);
}

void
call_duplicate_reject(struct call *call)
{
    say_of_two(call, SAY_REJECT);
}

/* --- record.show --- */

json_t *
same_json(struct call *call, const struct named *named)
{
    const struct duplicate_source source = { call->txn, call->codebook, call->roster };
    struct duplicate_groups *groups = NULL;
    json_t *records = json_array();
    json_t *counted = json_null();

    enum err err = named->record_no == 0 ? ERR_OK : duplicate_groups_read(&source, named->record_no, &groups);
    if (err != ERR_OK) {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
                  err_text(err));
    }
    size_t count = groups == NULL ? 0 : duplicate_member_count(groups);
    for (size_t n = 0; n < count; n++) {
        uint32_t record_no = duplicate_member(groups, n);
        struct record_summary summary;

        if (record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary) != ERR_OK) {
            continue; /* it was read a moment ago: counted by table */
        }
        if (record_no == duplicate_group_of(groups, named->record_no)) {
            json_decref(counted);
            counted = hex_json(ident_span(&summary.record_id));
        }
        if (record_no != named->record_no) {
            (void)json_array_append_new(records, row_json(call, &summary, summary_conflicts(call, &summary)));
        }
    }
    duplicate_groups_free(&groups);
    if (json_array_size(records) == 0) {
        json_decref(records);
        json_decref(counted);
        return json_null();
    }
    return json_pack("{s:o,s:o}", "counted_under", counted, "records", records);
}
