/* An insider with a certificate, the keys and bad intentions. It signs as it likes: equivocates, leaves its log at an old
 * entry, back-dates, writes where it may not, names values of other records, seals noise, and goes on when it is revoked.
 * Others carry its entries, knowing or not. */
#include "tests/sim/sim.h"

#include "store/base/cbor.h"
#include "store/change.h"
#include "store/keys.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

size_t
forger_device(const struct sim *sim)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        if (sim->nodes[n].device->forger) {
            return n;
        }
    }
    abort();
}

bool
forger_leaves_waiting(const struct sim *sim, const struct hash *device_id, const struct hash *entry_id)
{
    if (!hash_equal(device_id, &sim->nodes[forger_device(sim)].device->identity.device_id)) {
        return false;
    }
    for (size_t n = 0; n < sim->forged_count && sim->revocation_count == 0; n++) {
        const struct forged *forged = &sim->forged[n];

        for (size_t m = 0; forged->no_member && m < sim->erasure_count; m++) {
            if (ident_equal(&sim->erasures[m].record_id, &forged->record_id) &&
                hash_equal(entry_id, &forged->id)) {
                return true;
            }
        }
    }
    return sim->revocation_count > 0;
}

/* What it has learned: the keys of somebody honest, whom it shares an office with. */
struct loot {
    const struct hash *epoch_id; /* wanted */
    struct key epoch_key;
    bool found;
};

static void
look_at_key(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct loot *loot = self;

    (void)compartment;
    if (hash_equal(epoch_id, loot->epoch_id)) {
        loot->epoch_key = *key;
        loot->found = true;
    }
}

/* What is wrong with what it signs next. */
enum wrong {
    WRONG_NOTHING,
    WRONG_FORK,  /* a second child of an entry of its own */
    WRONG_TIME,  /* claims to be a year old, or of the future */
    WRONG_PLACE, /* in a compartment where it may not write */
    WRONG_NAMES, /* replaces values of other records */
    WRONG_SEAL,  /* does not open */
    WRONG_TAG,   /* names a record of which it is no member */
    WRONG_COUNT
};

/* Where the entry goes: the end of its log there, or behind an earlier entry. */
static const struct forged *
choose_prev(struct sim *sim, const struct hash *log_id, bool fork)
{
    const struct forged *last = NULL;
    const struct forged *any = NULL;
    uint64_t seen = 0;

    for (size_t n = 0; n < sim->forged_count; n++) {
        const struct forged *at = &sim->forged[n];

        if (!hash_equal(&at->log_id, log_id)) {
            continue;
        }
        last = last == NULL || at->seq >= last->seq ? at : last;
        seen++;
        any = chance_below(&sim->chance, seen) == 0 ? at : any;
    }
    return fork ? any : last;
}

static uint64_t
claimed_time(struct sim *sim, enum wrong wrong)
{
    const uint64_t now = UINT64_C(1767312000000) + sim->now_ms;

    if (wrong != WRONG_TIME) {
        return now << 16;
    }
    return (chance_one_in(&sim->chance, 2) ? now - UINT64_C(365) * DAY_MS : now + UINT64_C(3650) * DAY_MS)
           << 16;
}

/* Dots of what it signed before, of whatever record. */
static size_t
choose_names(struct sim *sim, struct dot *dots, size_t room)
{
    size_t count = 0;

    for (size_t n = sim->forged_count; n-- > 0 && count < room;) {
        const struct forged *at = &sim->forged[n];

        if (!at->no_right && chance_one_in(&sim->chance, 2)) {
            dot_make(&dots[count++], &at->log_id, at->seq, 0, &at->id);
        }
    }
    return count;
}

static bool
own_tag(void *self, uint64_t seq, uint8_t tag_out[4])
{
    (void)self;
    (void)seq;
    memset(tag_out, 0xff, 4); /* names are written whole */
    return true;
}

/* The payload: one value of a field that anybody may see. */
static void
write_payload(struct sim *sim, enum wrong wrong, const struct hash *log_id, uint64_t seq, struct buf *out)
{
    const struct codebook *codebook = codebook_reprisals();
    struct dot names[4];
    struct buf value = { 0 };
    char text[40];
    struct op op = { .code = OP_SET };
    struct change change = {
        .schema = SCHEMA, .hlc = claimed_time(sim, wrong), .actor = 9, .ops = &op, .op_count = 1
    };
    const struct change_log log = { .log_id = *log_id, .seq = seq, .tag_of = own_tag };

    for (size_t n = 0; n < codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n];

        if (field->collection == 0 && field->type == TYPE_TEXT && field->sensitivity != LEVEL_L3) {
            op.target.field = field->number;
            if (chance_one_in(&sim->chance, 4)) {
                break;
            }
        }
    }
    (void)snprintf(text, sizeof text, "forged-%zu", sim->forged_count);
    cbor_put_text(&value, span_text(text));
    op.value = buf_span(&value);
    op.preds = names;
    op.pred_count = wrong == WRONG_NAMES ? choose_names(sim, names, 4) : 0;
    if (change_encode(&change, &log, out) != ERR_OK) {
        sim_fail(sim, "the forger cannot encode");
    }
    buf_free(&value);
}

/* The frame that carries the entry alone. */
static void
write_frame(struct buf *out, const struct shape_compartment *at, struct span descriptor,
            const struct entry *entry, const uint8_t signature[SIGNATURE_BYTES])
{
    struct buf chunk = { 0 };

    chunk_write(&chunk, entry, 1, signature);
    struct chunk_item item = { .log = { LOG_REF_NEW, descriptor }, .chunk = buf_span(&chunk) };
    memcpy(item.tag, at->id.bytes, TAG_BYTES);
    chunk_frame_write(out);
    chunk_item_write(out, &item);
    buf_free(&chunk);
}

/* Sign one entry of the record into the log; the frame that carries it is kept. False: there was no room or no key. */
static bool
forge(struct sim *sim, enum wrong wrong, const struct shape_compartment *at,
      const struct known_record *record, struct sim_node *source)
{
    const struct shape_device *device = sim->nodes[forger_device(sim)].device;
    struct forged *forged = &sim->forged[sim->forged_count];
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };
    struct loot loot = { .epoch_id = &sim->forger_epochs[at - sim->shape->compartments] };
    struct record_key key = { 0 };
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;
    struct epoch_keys keys;
    struct key erase_key;
    struct buf payload = { 0 };
    struct buf sealed = { 0 };
    uint8_t descriptor[DESCRIPTOR_BYTES];
    uint8_t signature[SIGNATURE_BYTES];

    if (replica_borrow(source->replica, &main_txn, &keys_txn) != ERR_OK) {
        return false;
    }
    keys_each_epoch(keys_txn, look_at_key, &loot);
    /* A key alone may be left of a turn that did not happen: nobody could know it. */
    uint32_t record_no;
    bool has_key = record_find(main_txn, &record->compartment, &record->id, &record_no) == ERR_OK &&
                   keys_get_record(keys_txn, &record->compartment, &record->id, &key) == ERR_OK;
    replica_give_back(source->replica, &main_txn, &keys_txn);
    if (!loot.found || !has_key) {
        return false;
    }
    *forged = (struct forged){ .no_right = wrong == WRONG_PLACE,
                               .no_member = wrong == WRONG_TAG,
                               .record_id = record->id };
    memcpy(forged->descriptor.sign_pk, device->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(forged->descriptor.incarnation, device->identity.incarnation, 8);
    forged->descriptor.compartment = at->id;
    forged->descriptor.lane = LANE_NORMAL;
    descriptor_log_id(&forged->descriptor, &forged->log_id);
    const struct forged *prev = choose_prev(sim, &forged->log_id, wrong == WRONG_FORK);
    if (prev != NULL) {
        entry.seq = prev->seq + 1;
        entry.prev = prev->id;
        if (wrong == WRONG_FORK && chance_one_in(&sim->chance, 2)) {
            entry.seq = prev->seq; /* a sibling of it */
            entry.prev = prev->prev;
        }
    }
    memcpy(entry.epoch, loot.epoch_id->bytes, sizeof entry.epoch);
    chance_fill(&sim->chance, entry.salt, sizeof entry.salt);
    epoch_keys_of(&keys, &loot.epoch_key);
    record_key_erase(&erase_key, &key.key);
    if (wrong == WRONG_TAG) {
        erase_key.bytes[0] ^= 1;
    }
    if (wrong == WRONG_SEAL) {
        key.key.bytes[0] ^= 1;
    }
    entry_reference_make(&entry, &forged->log_id, &keys, &record->id, &erase_key);
    write_payload(sim, wrong, &forged->log_id, entry.seq, &payload);
    if (entry_seal(&entry, &forged->log_id, &keys, &key.key, buf_span(&payload), false, &sealed) != ERR_OK) {
        sim_fail(sim, "the forger cannot seal");
    }
    entry_sign(signature, &entry.id, &device->identity.sign);
    descriptor_write(descriptor, &forged->descriptor);
    write_frame(&forged->frame, at, span_of(descriptor, sizeof descriptor), &entry, signature);
    entry.payload = span_of(NULL, 0);
    write_frame(&forged->bare, at, span_of(descriptor, sizeof descriptor), &entry, signature);
    forged->seq = entry.seq;
    forged->id = entry.id;
    forged->prev = entry.prev;
    sim->forged_count++;
    sim->stats.forged++;
    buf_free(&payload);
    buf_free(&sealed);
    return true;
}

/* It is given new keys like anybody of its office, as long as nobody has revoked it. */
static void
learn_epochs(struct sim *sim, const struct sim_node *source)
{
    const struct roster *roster = replica_roster(source->replica);
    const struct hash *device_id = &sim->nodes[forger_device(sim)].device->identity.device_id;

    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct roster_compartment *compartment =
            roster_compartment(roster, &sim->shape->compartments[n].id);

        if (compartment != NULL && compartment->current != NULL &&
            roster_has_box(roster, &compartment->current->epoch_id, device_id)) {
            sim->forger_epochs[n] = compartment->current->epoch_id;
        }
    }
}

static const struct known_record *
choose_record(struct sim *sim, const struct ident *compartment)
{
    const struct known_record *chosen = NULL;
    uint64_t seen = 0;

    for (size_t n = 0; n < sim->record_count; n++) {
        if (ident_equal(&sim->records[n].compartment, compartment)) {
            seen++;
            chosen = chance_below(&sim->chance, seen) == 0 ? &sim->records[n] : chosen;
        }
    }
    return chosen;
}

/* Somebody is handed one of the last entries, or an old one once more; now and then without its payload. */
static void
hand_over(struct sim *sim)
{
    for (uint64_t visits = chance_between(&sim->chance, 1, 2); visits > 0 && sim->forged_count > 0;
         visits--) {
        struct sim_node *node = &sim->nodes[chance_below(&sim->chance, sim->node_count)];
        struct sim_conn *conn = mallory_connect(sim, node);

        for (uint64_t n = chance_between(&sim->chance, 1, 4); conn != NULL && n > 0; n--) {
            size_t back = chance_below(&sim->chance, chance_one_in(&sim->chance, 4) ? sim->forged_count : 2);

            back = back < sim->forged_count ? back : 0;
            const struct forged *forged = &sim->forged[sim->forged_count - 1 - back];
            network_put(sim, conn, 0,
                        buf_span(chance_one_in(&sim->chance, 6) ? &forged->bare : &forged->frame), false);
        }
    }
}

void
forger_act(struct sim *sim)
{
    size_t ken = trust_device(sim, "KEN-1");
    struct sim_node *source = &sim->nodes[node_is_up(&sim->nodes[ken]) ? ken : 0];
    const struct shape_device *device = sim->nodes[forger_device(sim)].device;
    enum wrong wrong = (enum wrong)chance_below(&sim->chance, WRONG_COUNT);
    size_t col = trust_device(sim, "COL-1");
    const struct shape_compartment *own = shape_compartment_of(sim->shape, device->office, OWN_CASES);

    if (!node_is_up(source) || replica_in_turn(source->replica)) {
        return;
    }
    learn_epochs(sim, source);
    if (sim->forged_count < FORGED_MAX) {
        const struct shape_compartment *at =
            wrong == WRONG_PLACE ? shape_compartment_of(sim->shape, sim->nodes[col].device->office, OWN_CASES)
                                 : own;
        const struct known_record *record = choose_record(sim, &own->id);

        if (wrong == WRONG_PLACE) {
            /* It has no key of that place: any will do, for nobody gets so far as to open it. */
            sim->forger_epochs[at - sim->shape->compartments] =
                sim->forger_epochs[own - sim->shape->compartments];
        }
        if (record != NULL && forge(sim, wrong, at, record, source)) {
            sim_note(sim, "%s signs something of %s: %d", device->name, ident_short(&record->id).text,
                     (int)wrong);
        }
    }
    hand_over(sim);
}
