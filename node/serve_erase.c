/* serve_erase.c - orders that erase: given, waiting for a second signature, standing, and who has confirmed them. */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/erase.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ORDER_DIGITS_MIN = 6, ORDER_DIGITS = 2 * IDENT_BYTES, ORDER_NAMED_MAX = 64 };

static json_t *
order_json(const struct ident *order)
{
    return hex_json(ident_span(order));
}

/* The names of the compartments that an order names. */
static json_t *
compartments_json(const struct call *call, const struct statement_list *keys)
{
    json_t *names = json_array();

    for (size_t n = 0; n < keys->count; n++) {
        struct statement_erase item = statement_erase_at(keys, n);
        const struct roster_compartment *compartment = roster_compartment(call->roster, &item.compartment);

        (void)json_array_append_new(names, json_string(compartment == NULL ? "" : compartment->name));
    }
    return names;
}

static json_t *
signers_json(const struct call *call, const struct roster_erasure *erasure)
{
    json_t *signers = json_array();

    for (size_t n = 0; n < erasure->signer_count; n++) {
        (void)json_array_append_new(signers, device_json(call->roster, &erasure->signers[n]));
    }
    return signers;
}

/* How far it is on this node. */
static json_t *
here_json(struct call *call, const struct roster_erasure *erasure)
{
    struct erase_progress progress;

    erase_progress_of(replica_erase(call->replica), call->txn, &erasure->order, &progress);
    const char *state = !progress.begun     ? "none"
                        : !progress.scanned ? "scanning"
                        : !progress.done    ? "closed"
                                            : "done";
    return json_pack("{s:s,s:I,s:I,s:I}", "state", state, "erased", (json_int_t)progress.erased, "unread",
                     (json_int_t)progress.unread, "late", (json_int_t)progress.late);
}

/* The record that an order would erase, as far as it is known here; nothing once it stands. */
static void
add_record(struct call *call, const struct roster_erasure *erasure, json_t *to)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    struct ident compartment;
    struct ident record_id;
    struct named named;
    char id[ORDER_DIGITS + 1];

    if (erasure->stands || !replica_find_ordered(call->replica, &erasure->keys, &compartment, &record_id)) {
        return;
    }
    bytes_hex(id, ident_span(&record_id));
    bool known = names_find(call_names(call), &source, id, &named) == ERR_OK;
    (void)json_object_set_new(to, "record", json_string(id));
    (void)json_object_set_new(to, "number", json_string(known ? named.number : ""));
}

static json_t *
erasure_json(struct call *call, const struct roster_erasure *erasure)
{
    json_t *json =
        json_pack("{s:o,s:s,s:I,s:I,s:o,s:o,s:o}", "order", order_json(&erasure->order), "state",
                  erasure->stands ? "stands" : "waiting", "signed", (json_int_t)erasure->signed_count,
                  "needed", (json_int_t)erasure->needed, "signers", signers_json(call, erasure),
                  "compartments", compartments_json(call, &erasure->keys), "here", here_json(call, erasure));

    if (json != NULL) {
        add_record(call, erasure, json);
    }
    return json;
}

void
call_erase_list(struct call *call)
{
    json_t *orders = json_array();

    for (size_t n = 0; n < roster_erasure_count(call->roster); n++) {
        (void)json_array_append_new(orders, erasure_json(call, roster_erasure_at(call->roster, n)));
    }
    uint64_t needs = replica_compact_bytes(call->replica);
    call_ok(call, json_pack("{s:o,s:b,s:b,s:I}", "orders", orders, "scanning",
                            erase_is_scanning(replica_erase(call->replica)), "rewriting_due",
                            erase_wants_compaction(replica_erase(call->replica)), "rewriting_needs",
                            (json_int_t)needs));
}

/* --- erase.order --- */

static bool
read_reason(struct call *call, uint32_t *reason_out)
{
    const struct codebook_field *field = codebook_field_by_name(call->codebook, 1, "restriction.reason");
    const struct codebook_vocabulary *vocabulary =
        field == NULL ? NULL : codebook_vocabulary(call->codebook, field->vocabulary);
    const char *name = call_text_needed(call, "reason");

    if (name == NULL) {
        return false;
    }
    const struct codebook_value *value = vocabulary == NULL ? NULL : codebook_value_by_name(vocabulary, name);
    if (value == NULL) {
        call_fail(call, ERR_INVALID, "vigil codebook show lists the reasons of a restriction",
                  "%.40s is no reason", name);
        return false;
    }
    *reason_out = value->number;
    return true;
}

static void
explain(struct call *call, enum err err, const char *number)
{
    switch (err) {
    case ERR_ABSENT:
        call_fail(call, err, "vigil case list shows what is here", "there is no such record");
        break;
    case ERR_LOCKED:
        call_fail(call, err, "try again once it has met a node that has the key, or order it there",
                  "the key of %s has not arrived here", number);
        break;
    case ERR_DENIED:
        call_fail(call, err, "order it on a device with admin in all of its compartments",
                  "this device has not admin in every compartment that holds a half of %s", number);
        break;
    case ERR_EXISTS:
        call_fail(call, err, "a device of another office signs it: vigil erase order, there",
                  "this device has signed that order already, and it waits for a second signature");
        break;
    default:
        call_fail(call, err, "", "%s", err_text(err));
        break;
    }
}

static const char *
number_of(const struct named *named)
{
    return named->number[0] != '\0' ? named->number : "it";
}

void
call_erase_order(struct call *call)
{
    struct named named;
    struct replica_order order;
    struct replica_plan plan;
    uint32_t reason = 0;
    size_t stubs = 0;
    size_t lost = 0;

    if (!call_record(call, &named) || !read_reason(call, &reason)) {
        return;
    }
    uint32_t actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
    if (call->failed) {
        return;
    }
    /* Who signs an order that waits finds the stubs written. */
    enum err err = replica_plan_erasure(call->replica, &named.compartment, &named.record_id, &plan);
    if (err == ERR_OK && plan.waiting == NULL && !call_write_stubs(call, &named, actor, &stubs, &lost)) {
        return;
    }
    if (err == ERR_OK) {
        err =
            replica_order_erasure(call->replica, &named.compartment, &named.record_id, reason, actor, &order);
    }
    if (err != ERR_OK) {
        explain(call, err, number_of(&named));
        return;
    }
    call_ok(call, json_pack("{s:o,s:s,s:I,s:b,s:I,s:I}", "order", order_json(&order.order), "number",
                            named.number, "needed", (json_int_t)order.needed, "second", order.second,
                            "count_stubs", (json_int_t)stubs, "count_stubs_lost", (json_int_t)lost));
}

/* --- who may hold it --- */

/* Has, or had, the device a part in one of the compartments? */
static bool
may_hold(const struct roster *roster, const struct roster_device *device, const struct ident *compartments,
         size_t count)
{
    for (size_t n = 0; n < count; n++) {
        if (roster_author_level(roster, device, &compartments[n]) >= LEVEL_CARRY) {
            return true;
        }
    }
    return false;
}

static size_t
holders_count(const struct roster *roster, const struct ident *compartments, size_t count)
{
    size_t holders = 0;

    for (size_t n = 0; n < roster_author_count(roster); n++) {
        holders += may_hold(roster, roster_author_at(roster, n), compartments, count);
    }
    return holders;
}

/* What an order would do: nothing is changed. */
void
call_erase_plan(struct call *call)
{
    struct replica_plan plan;
    struct named named;
    struct replica_view view;

    if (!call_record(call, &named) || !call_view(call, &named, &view)) {
        return;
    }
    enum err err = replica_plan_erasure(call->replica, &named.compartment, &named.record_id, &plan);
    if (err != ERR_OK) {
        explain(call, err, number_of(&named));
        return;
    }
    json_t *names = json_array();
    for (size_t n = 0; n < plan.compartment_count; n++) {
        const struct roster_compartment *compartment =
            roster_compartment(call->roster, &plan.compartments[n]);

        (void)json_array_append_new(names, json_string(compartment == NULL ? "" : compartment->name));
    }
    call_ok(call,
            json_pack("{s:o,s:s,s:s,s:o,s:I,s:I,s:b,s:o}", "record", hex_json(ident_span(&named.record_id)),
                      "number", named.number, "kind", kind_name(call->codebook, view_kind(&view)),
                      "compartments", names, "devices",
                      (json_int_t)holders_count(call->roster, plan.compartments, plan.compartment_count),
                      "needed", (json_int_t)plan.needed, "second", plan.waiting != NULL, "signers",
                      plan.waiting == NULL ? json_array() : signers_json(call, plan.waiting)));
}

/* --- erase.report --- */

/* The order that a text names: its id, or six digits and more of it. The only one, if none is named. NULL: the
 * call failed. */
static const struct roster_erasure *
find_order(struct call *call)
{
    const char *text = call_text(call, "order");
    const struct roster_erasure *found = NULL;
    size_t size = text == NULL ? 0 : strlen(text);

    if (call->failed) {
        return NULL;
    }
    if (text != NULL &&
        (size < ORDER_DIGITS_MIN || size > ORDER_DIGITS || strspn(text, "0123456789abcdefABCDEF") != size)) {
        call_fail(call, ERR_INVALID, "vigil erase list shows all", "%.40s is not the name of an order", text);
        return NULL;
    }
    for (size_t n = 0; n < roster_erasure_count(call->roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(call->roster, n);
        char id[ORDER_DIGITS + 1];

        bytes_hex(id, ident_span(&erasure->order));
        if (text != NULL && strncasecmp(id, text, size) != 0) {
            continue;
        }
        if (found != NULL && !ident_equal(&found->order, &erasure->order)) {
            call_fail(call, ERR_CONFLICT, "name it by more of its digits: vigil erase list",
                      "more than one order is meant");
            return NULL;
        }
        found = found == NULL || erasure->stands ? erasure : found;
    }
    if (found == NULL) {
        call_fail(call, ERR_ABSENT, "vigil erase list shows all", "there is no such order here");
    }
    return found;
}

/* One device of a report. *confirmed_out: nothing is left on it. */
static json_t *
holder_json(struct call *call, const struct roster_device *device, const struct ident *order,
            bool *confirmed_out)
{
    const struct serve_options *options = call_options(call);
    struct erase_receipt receipt;
    bool said = erase_receipt_of(call->txn, order, &device->device_id, &receipt);
    struct peer_heard heard = peers_last_heard(options->peers, &device->device_id);
    uint64_t told_ms = receipt.last_hlc >> 16;

    if (call->own != NULL && hash_equal(&call->own->device_id, &device->device_id)) {
        told_ms = world_wall_ms(options->world);
    }
    /* Whatever brought a receipt, its author spoke then. */
    if (told_ms > heard.at_ms) {
        heard = (struct peer_heard){ told_ms, false };
    }
    *confirmed_out = said && receipt.stage >= RECEIPT_DONE;
    return json_pack("{s:o,s:s,s:o,s:I,s:I,s:I,s:b,s:o,s:b}", "device",
                     device_json(call->roster, &device->device_id), "state",
                     *confirmed_out ? "confirmed"
                     : said         ? "closed"
                                    : "missing",
                     "at", *confirmed_out ? hlc_json(receipt.done_hlc) : json_null(), "erased",
                     (json_int_t)receipt.erased, "unread", (json_int_t)receipt.unread, "late",
                     (json_int_t)receipt.late, "revoked", device->revoked, "last_contact",
                     time_json(heard.at_ms), "by_bundle", heard.by_bundle);
}

/* The compartments that an order names. */
static size_t
order_compartments(const struct roster_erasure *erasure, struct ident compartments_out[ORDER_NAMED_MAX])
{
    size_t count = 0;

    for (size_t n = 0; n < erasure->keys.count && count < ORDER_NAMED_MAX; n++) {
        compartments_out[count++] = statement_erase_at(&erasure->keys, n).compartment;
    }
    return count;
}

void
erase_each_missing(struct call *call, void (*each)(void *self, const struct roster_device *device),
                   void *self)
{
    for (size_t n = 0; n < roster_erasure_count(call->roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(call->roster, n);
        struct ident compartments[ORDER_NAMED_MAX];
        size_t count = order_compartments(erasure, compartments);

        for (size_t m = 0; erasure->stands && m < roster_author_count(call->roster); m++) {
            const struct roster_device *device = roster_author_at(call->roster, m);
            struct erase_receipt receipt;

            if (may_hold(call->roster, device, compartments, count) &&
                (!erase_receipt_of(call->txn, &erasure->order, &device->device_id, &receipt) ||
                 receipt.stage < RECEIPT_DONE)) {
                each(self, device);
            }
        }
    }
}

void
call_erase_report(struct call *call)
{
    const struct roster_erasure *erasure = find_order(call);
    struct ident compartments[ORDER_NAMED_MAX];
    json_t *devices = json_array();
    size_t count = erasure == NULL ? 0 : order_compartments(erasure, compartments);
    size_t confirmed = 0;

    for (size_t n = 0; erasure != NULL && n < roster_author_count(call->roster); n++) {
        const struct roster_device *device = roster_author_at(call->roster, n);
        bool done = false;

        if (may_hold(call->roster, device, compartments, count)) {
            (void)json_array_append_new(devices, holder_json(call, device, &erasure->order, &done));
            confirmed += done;
        }
    }
    if (erasure == NULL) {
        json_decref(devices);
        return;
    }
    size_t all = json_array_size(devices);
    json_t *json = erasure_json(call, erasure);
    (void)json_object_set_new(json, "devices", devices);
    (void)json_object_set_new(json, "confirmed", json_integer((json_int_t)confirmed));
    (void)json_object_set_new(json, "missing", json_integer((json_int_t)(all - confirmed)));
    call_ok(call, json);
}
