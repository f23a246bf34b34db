/* serve_epoch.c - the keys that compartments are sealed with: how old, made by whom, boxed for whom; and a new one now. */
#include "node/call.h"

#include "store/base/world.h"

#include <stdio.h>
#include <string.h>

/* --- epoch.list --- */

/* Who signed an epoch; null if that cannot be told. */
static json_t *
signer_json(struct call *call, const struct hash *epoch_id)
{
    const struct roster_device *author = NULL;
    struct buf bytes = { 0 };
    struct statement statement;

    if (roster_write(call->roster, epoch_id, &bytes) && !bytes.failed &&
        statement_read_stored(buf_span(&bytes), &statement) && statement.signers.count > 0) {
        struct statement_signature signature = statement_signature_at(&statement.signers, 0);

        author = roster_author_by_sign_pk(call->roster, signature.sign_pk);
    }
    json_t *json = author == NULL ? json_null() : device_json(call->roster, &author->device_id);
    call_lacks(call, bytes.failed);
    buf_free(&bytes);
    return json;
}

/* Living devices that may read there and have no box of this epoch; how many have one. */
static json_t *
without_json(struct call *call, const struct roster_epoch *epoch, size_t *boxes_out)
{
    json_t *without = json_array();

    *boxes_out = 0;
    for (size_t n = 0; n < roster_device_count(call->roster); n++) {
        const struct roster_device *device = roster_device_at(call->roster, n);

        if (roster_has_box(call->roster, &epoch->epoch_id, &device->device_id)) {
            ++*boxes_out;
        } else if (policy_may(call->roster, device, OPERATION_READ, &epoch->compartment)) {
            (void)json_array_append_new(without, device_json(call->roster, &device->device_id));
        }
    }
    return without;
}

/* Seconds since this node first looked at it; null where it never did. */
static json_t *
age_json(struct call *call, const struct roster_epoch *epoch)
{
    uint64_t now_ms = world_wall_ms(call_options(call)->world);
    uint64_t since_ms = replica_epoch_since(call->txn, &epoch->epoch_id);

    if (since_ms == 0) {
        return json_null();
    }
    return json_integer(now_ms > since_ms ? (json_int_t)((now_ms - since_ms) / 1000) : 0);
}

static json_t *
epoch_json(struct call *call, const struct roster_compartment *compartment, const struct roster_epoch *epoch)
{
    bool in_force =
        compartment->current != NULL && hash_equal(&compartment->current->epoch_id, &epoch->epoch_id);
    size_t boxes = 0;
    json_t *without = without_json(call, epoch, &boxes);
    const char *state = in_force         ? "in force"
                        : !epoch->stands ? "does not stand"
                        : !epoch->whole  ? "waits for one before it"
                                         : "old";

    return json_pack("{s:s,s:I,s:o,s:s,s:o,s:o,s:I,s:o}", "compartment", compartment->name, "number",
                     (json_int_t)epoch->number, "id", hex_json(hash_span(&epoch->epoch_id)), "state", state,
                     "age_s", age_json(call, epoch), "by", signer_json(call, &epoch->epoch_id), "boxes",
                     (json_int_t)boxes, "without", without);
}

/* The compartment that member "compartment" names. NULL: the call failed. */
static const struct roster_compartment *
compartment_named(struct call *call, const char *text)
{
    const struct roster_compartment *compartment = roster_compartment_by_name(call->roster, text);

    if (compartment == NULL) {
        call_fail(call, ERR_ABSENT, "vigil digest shows the names of those that are here",
                  "no compartment is called %.60s", text);
    }
    return compartment;
}

static void
add_epochs(struct call *call, const struct roster_compartment *compartment, json_t *list)
{
    size_t count = 0;
    size_t first = roster_epochs_of(call->roster, &compartment->id, &count);

    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(
            list, epoch_json(call, compartment, roster_epoch_at(call->roster, first + count - 1 - n)));
    }
}

void
call_epoch_list(struct call *call)
{
    const char *text = call_text(call, "compartment");
    const struct roster_compartment *only = text == NULL ? NULL : compartment_named(call, text);
    json_t *list = json_array();

    for (size_t n = 0; !call->failed && n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);

        if (only == NULL || only == compartment) {
            add_epochs(call, compartment, list);
        }
    }
    call_ok(call, json_pack("{s:o,s:I}", "epochs", list, "old_epoch",
                            (json_int_t)replica_counts(call->replica)->old_epoch));
}

/* --- epoch.rotate --- */

void
call_epoch_rotate(struct call *call)
{
    const char *text = call_text_needed(call, "compartment");
    const struct roster_compartment *compartment = text == NULL ? NULL : compartment_named(call, text);

    if (compartment == NULL) {
        return;
    }
    if (call->own == NULL) {
        call_fail_without_own(call);
        return;
    }
    json_int_t was = compartment->current == NULL ? 0 : (json_int_t)compartment->current->number;
    enum err err = replica_rotate(call->replica, &compartment->id);
    switch (err) {
    case ERR_OK:
        break;
    case ERR_ABSENT:
        call_fail(call, err, "vigil epoch list shows those that have epochs",
                  "the key of %s is made at founding and never changes", compartment->name);
        break;
    case ERR_DENIED:
        call_fail(call, err, "do it on a device that has admin there", "this device may make no epoch of %s",
                  compartment->name);
        break;
    case ERR_LOCKED:
        call_fail(call, err, "let it meet a node that has the key first: vigil sync now",
                  "an epoch of %s that comes before is not open here", compartment->name);
        break;
    default:
        call_fail(call, err, "", "%s", err_text(err));
        break;
    }
    call_ok(call, json_pack("{s:s,s:I}", "compartment", compartment->name, "was", was));
}
