#include "sync/roster_state.h"
#include "store/base/sorted.h"
#include "store/codebook.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 64 };

/* --- the set of statements --- */

struct roster *
roster_new(const struct hash *org)
{
    struct roster *roster = calloc(1, sizeof *roster);

    if (roster == NULL) {
        return NULL;
    }
    roster->org = *org;
    roster->slots = calloc(SLOTS_MIN, sizeof(struct kept *));
    roster->slot_count = SLOTS_MIN;
    if (roster->slots == NULL || state_new(&roster->state, roster) != ERR_OK) {
        roster_free(&roster);
    }
    return roster;
}

static void
kept_free(struct kept *kept)
{
    if (kept != NULL) {
        free(kept->bytes);
        free(kept->signatures);
        free(kept);
    }
}

void
roster_free(struct roster **roster)
{
    struct roster *old = *roster;

    if (old == NULL) {
        return;
    }
    state_free(&old->state);
    for (size_t n = 0; n < old->kept_count; n++) {
        kept_free(old->kept[n]);
    }
    free(old->kept);
    free(old->slots);
    free(old);
    *roster = NULL;
}

/* Where the statement is, or where it would be put. */
static struct kept **
slot_of(struct kept **slots, size_t slot_count, const struct hash *id)
{
    size_t at = (size_t)bytes_read_u64(id->bytes) & (slot_count - 1);

    while (slots[at] != NULL && !hash_equal(&slots[at]->statement.id, id)) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static struct kept *
find(const struct roster *roster, const struct hash *id)
{
    return *slot_of(roster->slots, roster->slot_count, id);
}

/* Room for one more statement. */
static bool
make_room(struct roster *roster)
{
    if (roster->kept_count == roster->kept_capacity) {
        size_t capacity = roster->kept_capacity == 0 ? SLOTS_MIN : 2 * roster->kept_capacity;
        struct kept **kept = realloc(roster->kept, capacity * sizeof(struct kept *));
        if (kept == NULL) {
            return false;
        }
        roster->kept = kept;
        roster->kept_capacity = capacity;
    }
    if (2 * (roster->kept_count + 1) > roster->slot_count) {
        size_t slot_count = 2 * roster->slot_count;
        struct kept **slots = calloc(slot_count, sizeof(struct kept *));
        if (slots == NULL) {
            return false;
        }
        for (size_t n = 0; n < roster->kept_count; n++) {
            *slot_of(slots, slot_count, &roster->kept[n]->statement.id) = roster->kept[n];
        }
        free(roster->slots);
        roster->slots = slots;
        roster->slot_count = slot_count;
    }
    return true;
}

/* Add a signature that is good and not here. */
static bool
kept_add_signature(struct kept *kept, const struct statement_signature *signature)
{
    if (kept->signature_count == kept->signature_capacity) {
        size_t capacity = kept->signature_capacity == 0 ? 2 : 2 * kept->signature_capacity;
        struct statement_signature *grown = realloc(kept->signatures, capacity * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        kept->signatures = grown;
        kept->signature_capacity = capacity;
    }
    size_t at = kept->signature_count++;
    while (at > 0 && memcmp(kept->signatures[at - 1].sign_pk, signature->sign_pk, SIGN_PK_BYTES) > 0) {
        kept->signatures[at] = kept->signatures[at - 1];
        at--;
    }
    kept->signatures[at] = *signature;
    return true;
}

/* A new statement, with no signature yet and not in the roster. */
static struct kept *
kept_new(const struct statement *statement)
{
    struct kept *kept = calloc(1, sizeof *kept);

    if (kept == NULL) {
        return NULL;
    }
    kept->bytes = malloc(statement->bytes.size);
    if (kept->bytes == NULL) {
        kept_free(kept);
        return NULL;
    }
    memcpy(kept->bytes, statement->bytes.data, statement->bytes.size);
    bool good = statement_read_again(span_of(kept->bytes, statement->bytes.size), &kept->statement);
    assert(good);
    return kept;
}

static enum roster_news
add(struct roster *roster, struct span signed_statement, struct hash *id_out, bool verified)
{
    struct statement statement;

    if (!(verified ? statement_read_stored(signed_statement, &statement)
                   : statement_read(signed_statement, &statement))) {
        return ROSTER_MALFORMED;
    }
    if (id_out != NULL) {
        *id_out = statement.id;
    }
    if (!hash_equal(&statement.org, &roster->org)) {
        return ROSTER_FOREIGN;
    }
    if (!make_room(roster)) {
        return ROSTER_MEMORY;
    }
    struct kept *kept = find(roster, &statement.id);
    bool fresh = kept == NULL;
    if (fresh) {
        kept = kept_new(&statement);
        if (kept == NULL) {
            return ROSTER_MEMORY;
        }
    }
    size_t count_before = kept->signature_count;
    for (size_t n = 0; n < statement.signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement.signers, n);
        if (kept_signed_by(kept, signature.sign_pk) ||
            (!verified && !statement_signature_valid(&signature, &statement.id))) {
            continue;
        }
        if (!kept_add_signature(kept, &signature)) {
            if (fresh) {
                kept_free(kept);
            }
            return ROSTER_MEMORY;
        }
        roster->news |= !fresh;
    }
    /* A fork proof is signed by nobody: what it shows is signed. */
    if (fresh && kept->signature_count == 0 && statement.type != STATEMENT_FORK_PROOF) {
        kept_free(kept);
        return ROSTER_UNSIGNED;
    }
    if (fresh) {
        *slot_of(roster->slots, roster->slot_count, &statement.id) = kept;
        roster->kept[roster->kept_count++] = kept;
        roster->news = true;
        return ROSTER_NEW;
    }
    return kept->signature_count > count_before ? ROSTER_NEW : ROSTER_KNOWN;
}

enum roster_news
roster_add(struct roster *roster, struct span signed_statement, struct hash *id_out)
{
    return add(roster, signed_statement, id_out, false);
}

enum roster_news
roster_add_stored(struct roster *roster, struct span signed_statement, struct hash *id_out)
{
    return add(roster, signed_statement, id_out, true);
}

enum err
roster_settle(struct roster *roster)
{
    struct state *state = NULL;

    if (!roster->news) {
        return ERR_OK;
    }
    enum err err = state_new(&state, roster);
    if (err != ERR_OK) {
        return err;
    }
    state_free(&roster->state);
    roster->state = state;
    for (size_t n = 0; n < roster->kept_count; n++) {
        roster->kept[n]->stands = roster->kept[n]->standing;
    }
    roster->news = false;
    roster->generation++;
    return ERR_OK;
}

uint64_t
roster_generation(const struct roster *roster)
{
    return roster->generation;
}

size_t
roster_statement_count(const struct roster *roster)
{
    return roster->kept_count;
}

bool
roster_stands(const struct roster *roster, const struct hash *id)
{
    const struct kept *kept = find(roster, id);

    return kept != NULL && kept->stands;
}

void
roster_each(const struct roster *roster, uint32_t type,
            void (*each)(void *self, const struct hash *id, uint32_t type, struct span stmt), void *self)
{
    for (size_t n = 0; n < roster->kept_count; n++) {
        const struct statement *statement = &roster->kept[n]->statement;
        if (type == 0 || statement->type == type) {
            each(self, &statement->id, statement->type, statement->bytes);
        }
    }
}

/* True if a signature of this key can make some statement count. */
static bool
signer_matters(const struct roster *roster, const struct kept *kept, const uint8_t *sign_pk)
{
    const struct state *state = roster->state;

    for (size_t n = 0; n < state->root_set_count; n++) {
        if (statement_key_find(&state->root_sets[n].roots, sign_pk)) {
            return true;
        }
    }
    if (kept->statement.type == STATEMENT_DEVICE && !kept->statement.newer &&
        (memcmp(kept->statement.device.sign_pk, sign_pk, SIGN_PK_BYTES) == 0 ||
         memcmp(kept->statement.device.office_pk, sign_pk, SIGN_PK_BYTES) == 0)) {
        return true;
    }
    return state_office(state, sign_pk) != NULL ||
           state_device_by_sign_pk(state_genuine(state), sign_pk) != NULL;
}

bool
roster_write(const struct roster *roster, const struct hash *id, struct buf *out)
{
    const struct kept *kept = find(roster, id);
    struct statement_signature chosen[STATEMENT_SIGNERS_MAX];
    size_t count = 0;

    if (kept == NULL) {
        return false;
    }
    if (kept->signature_count <= STATEMENT_SIGNERS_MAX) {
        statement_write(out, kept->statement.bytes, kept->signatures, kept->signature_count);
        return true;
    }
    /* More than a statement may carry: somebody signs for show. What matters goes, the rest stays. */
    for (size_t n = 0; n < kept->signature_count && count < STATEMENT_SIGNERS_MAX; n++) {
        if (signer_matters(roster, kept, kept->signatures[n].sign_pk)) {
            chosen[count++] = kept->signatures[n];
        }
    }
    statement_write(out, kept->statement.bytes, chosen, count);
    return true;
}

/* --- lookups in a state --- */

const struct roster_office *
state_office(const struct state *state, const uint8_t *office_pk)
{
    return sorted_find(SORTED_BY(struct roster_office, state->offices, state->office_count, office_pk),
                       span_of(office_pk, SIGN_PK_BYTES));
}

const struct roster_device *
state_device(const struct state *state, const struct hash *device_id)
{
    return sorted_find(SORTED_BY(struct roster_device, state->devices, state->device_count, device_id),
                       hash_span(device_id));
}

const struct roster_device *
state_device_by_sign_pk(const struct state *state, const uint8_t *sign_pk)
{
    return sorted_find(
        SORTED_AT(struct roster_device, state->devices, state->device_count, sign_pk, state->by_sign_pk),
        span_of(sign_pk, SIGN_PK_BYTES));
}

const struct roster_compartment *
state_compartment(const struct state *state, const struct ident *id)
{
    return sorted_find(
        SORTED_BY(struct roster_compartment, state->compartments, state->compartment_count, id),
        ident_span(id));
}

const struct roster_epoch *
state_epoch(const struct state *state, const struct hash *epoch_id)
{
    return sorted_find(
        SORTED_AT(struct roster_epoch, state->epochs, state->epoch_count, epoch_id, state->epochs_by_id),
        hash_span(epoch_id));
}

enum level
state_office_level(const struct state *state, size_t office, const struct ident *compartment)
{
    const struct office_state *here = &state->office_states[office];
    const struct statement_grant *grant =
        sorted_find(SORTED_BY(struct statement_grant, here->grants, here->grant_count, compartment),
                    ident_span(compartment));

    return grant == NULL ? LEVEL_NONE : grant->level;
}

size_t
state_box_from(const struct state *state, const struct hash *epoch_id, const struct hash *device_id)
{
    size_t low = 0;
    size_t high = state->box_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct box_state *box = &state->boxes[middle];
        int order = hash_compare(&box->epoch_id, epoch_id);
        if (order == 0 && device_id != NULL) {
            order = hash_compare(&box->device_id, device_id);
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct state *
state_genuine(const struct state *state)
{
    return state->genuine == NULL ? state : state->genuine;
}

/* --- the organisation --- */

const struct hash *
roster_org(const struct roster *roster)
{
    return &roster->org;
}

bool
roster_founded(const struct roster *roster)
{
    return roster->state->founding != NULL;
}

const char *
roster_name(const struct roster *roster)
{
    return roster->state->name;
}

struct statement_list
roster_roots(const struct roster *roster, uint32_t *needed_out)
{
    const struct state *state = roster->state;

    *needed_out = 0;
    if (state->root_set_count == 0) {
        return (struct statement_list){ 0 };
    }
    const struct root_set *last = &state->root_sets[state->root_set_count - 1];
    *needed_out = last->needed;
    return last->roots;
}

const struct hash *
roster_roots_id(const struct roster *roster)
{
    const struct state *state = roster->state;

    return state->root_set_count == 0 ? &roster->org
                                      : &state->root_sets[state->root_set_count - 1].kept->statement.id;
}

uint32_t
roster_erasure_signatures(const struct roster *roster)
{
    const struct kept *founding = roster->state->founding;

    return founding == NULL ? 2 : founding->statement.organisation.erasure_signatures;
}

static const struct ident no_ident;

const struct ident *
roster_control(const struct roster *roster)
{
    const struct kept *founding = roster->state->founding;

    return founding == NULL ? &no_ident : &founding->statement.organisation.control;
}

const struct ident *
roster_shared_id(const struct roster *roster)
{
    const struct kept *founding = roster->state->founding;

    return founding == NULL ? &no_ident : &founding->statement.organisation.shared;
}

const struct codebook *
roster_codebook(const struct roster *roster)
{
    return roster->state->codebook == NULL ? codebook_reprisals() : roster->state->codebook;
}

size_t
roster_newer_count(const struct roster *roster)
{
    return roster->state->newer_count;
}

/* --- devices --- */

size_t
roster_device_count(const struct roster *roster)
{
    return roster->state->living_count;
}

const struct roster_device *
roster_device_at(const struct roster *roster, size_t index)
{
    assert(index < roster->state->living_count);

    return &roster->state->devices[roster->state->living[index]];
}

static const struct roster_device *
if_living(const struct roster_device *device)
{
    return device == NULL || device->revoked ? NULL : device;
}

const struct roster_device *
roster_device(const struct roster *roster, const struct hash *device_id)
{
    return if_living(state_device(roster->state, device_id));
}

const struct roster_device *
roster_device_by_sign_pk(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES])
{
    return if_living(state_device_by_sign_pk(roster->state, sign_pk));
}

const struct roster_device *
roster_device_by_transport_pk(const struct roster *roster, const uint8_t transport_pk[32])
{
    const struct state *state = roster->state;

    return if_living(sorted_find(SORTED_AT(struct roster_device, state->devices, state->device_count,
                                           transport_pk, state->by_transport_pk),
                                 span_of(transport_pk, 32)));
}

const struct roster_device *
roster_device_by_certificate(const struct roster *roster, const uint8_t certificate[8])
{
    const struct state *state = roster->state;
    const struct certificate_name *name = sorted_find(
        SORTED_BY(struct certificate_name, state->certificate_names, state->certificate_name_count, stmt_id),
        span_of(certificate, 8));

    return name == NULL ? NULL : &state->devices[name->device];
}

static const struct question living = { .asking = ASK_LIVING };
static const struct question author = { .asking = ASK_AUTHOR };

enum level
roster_level(const struct roster *roster, const struct roster_device *device, const struct ident *compartment)
{
    return state_level(roster->state, device, compartment, &living);
}

/* --- authors --- */

size_t
roster_author_count(const struct roster *roster)
{
    return roster->state->device_count;
}

const struct roster_device *
roster_author_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->device_count);

    return &roster->state->devices[n];
}

const struct roster_device *
roster_author(const struct roster *roster, const struct hash *device_id)
{
    return state_device(roster->state, device_id);
}

const struct roster_device *
roster_author_by_sign_pk(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES])
{
    return state_device_by_sign_pk(roster->state, sign_pk);
}

enum level
roster_author_level(const struct roster *roster, const struct roster_device *device,
                    const struct ident *compartment)
{
    return state_level(roster->state, device, compartment, &author);
}

bool
roster_ever_certified(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES])
{
    return state_device_by_sign_pk(state_genuine(roster->state), sign_pk) != NULL;
}

enum level
roster_ever_level(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES],
                  const struct ident *compartment)
{
    const struct state *genuine = state_genuine(roster->state);

    return state_level(genuine, state_device_by_sign_pk(genuine, sign_pk), compartment, &author);
}

/* --- offices --- */

size_t
roster_office_count(const struct roster *roster)
{
    return roster->state->office_count;
}

const struct roster_office *
roster_office_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->office_count);

    return &roster->state->offices[n];
}

const struct roster_office *
roster_office(const struct roster *roster, const uint8_t office_pk[SIGN_PK_BYTES])
{
    return state_office(roster->state, office_pk);
}

static const struct roster_office *
office_by_code(const struct state *state, const char *code, size_t code_bytes)
{
    const struct roster_office *best = NULL;

    /* Few offices, asked by people: a walk will do. */
    for (size_t n = 0; n < state->office_count; n++) {
        const struct roster_office *office = &state->offices[n];
        if (strlen(office->code) != code_bytes || memcmp(office->code, code, code_bytes) != 0) {
            continue;
        }
        if (best == NULL || (best->revoked && !office->revoked) ||
            (best->revoked == office->revoked &&
             hash_compare(&state->office_states[n].lowest_id,
                          &state->office_states[best - state->offices].lowest_id) < 0)) {
            best = office;
        }
    }
    return best;
}

const struct roster_office *
roster_office_by_code(const struct roster *roster, const char *code)
{
    return office_by_code(roster->state, code, strlen(code));
}

enum level
roster_office_level(const struct roster *roster, const struct roster_office *office,
                    const struct ident *compartment)
{
    return state_office_level(roster->state, (size_t)(office - roster->state->offices), compartment);
}

/* --- compartments --- */

size_t
roster_compartment_count(const struct roster *roster)
{
    return roster->state->compartment_count;
}

const struct roster_compartment *
roster_compartment_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->compartment_count);

    return &roster->state->compartments[n];
}

const struct roster_compartment *
roster_compartment(const struct roster *roster, const struct ident *id)
{
    return state_compartment(roster->state, id);
}

const struct roster_compartment *
roster_compartment_by_tag(const struct roster *roster, const uint8_t tag[8])
{
    const struct state *state = roster->state;

    return sorted_find(
        SORTED_BY(struct roster_compartment, state->compartments, state->compartment_count, id),
        span_of(tag, 8));
}

/* The one compartment whose id in hex begins like this. */
static const struct roster_compartment *
compartment_by_hex(const struct state *state, const char *prefix)
{
    enum { PREFIX_DIGITS_MIN = 4 };
    size_t digits = strlen(prefix);
    const struct roster_compartment *found = NULL;

    if (digits < PREFIX_DIGITS_MIN || digits > 2 * IDENT_BYTES) {
        return NULL;
    }
    for (size_t n = 0; n < state->compartment_count; n++) {
        char hex[2 * IDENT_BYTES + 1];
        bytes_hex(hex, ident_span(&state->compartments[n].id));
        if (memcmp(hex, prefix, digits) != 0) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = &state->compartments[n];
    }
    return found;
}

const struct roster_compartment *
roster_compartment_by_name(const struct roster *roster, const char *name)
{
    static const char *const words[OWN_COUNT] = { "cases", "protected", "audit" };
    const struct state *state = roster->state;
    const char *gap = strpbrk(name, ": ");

    if (strcmp(name, "control") == 0) {
        return state_compartment(state, roster_control(roster));
    }
    if (strcmp(name, "shared") == 0) {
        return state_compartment(state, roster_shared_id(roster));
    }
    if (gap == NULL) {
        return compartment_by_hex(state, name);
    }
    const struct roster_office *office = office_by_code(state, name, (size_t)(gap - name));
    for (size_t n = 0; office != NULL && n < OWN_COUNT; n++) {
        const struct roster_compartment *own = state_compartment(state, &office->own[n]);
        if (strcmp(gap + 1, words[n]) == 0 && own->owner != NULL && own->owner->house == office->house) {
            return own;
        }
    }
    return NULL;
}

size_t
roster_compartments_shared(const struct roster *roster, const struct roster_device *a,
                           const struct roster_device *b, const struct roster_compartment **out, size_t room)
{
    const struct state *state = roster->state;
    size_t count = 0;

    if (a == NULL || b == NULL) {
        return 0;
    }
    /* `control` is brought to equal digests before the others. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t n = 0; n < state->compartment_count; n++) {
            const struct roster_compartment *compartment = &state->compartments[n];
            if ((compartment->role == COMPARTMENT_CONTROL) != (pass == 0) ||
                state_level(state, a, &compartment->id, &living) < LEVEL_CARRY ||
                state_level(state, b, &compartment->id, &living) < LEVEL_CARRY) {
                continue;
            }
            if (count < room) {
                out[count] = compartment;
            }
            count++;
        }
    }
    return count;
}

/* --- epochs and actors --- */

size_t
roster_epoch_count(const struct roster *roster)
{
    return roster->state->epoch_count;
}

const struct roster_epoch *
roster_epoch_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->epoch_count);

    return &roster->state->epochs[n];
}

const struct roster_epoch *
roster_epoch(const struct roster *roster, const struct hash *epoch_id)
{
    return state_epoch(roster->state, epoch_id);
}

size_t
roster_epochs_of(const struct roster *roster, const struct ident *compartment, size_t *count_out)
{
    const struct state *state = roster->state;
    size_t first;

    *count_out = sorted_run(SORTED_BY(struct roster_epoch, state->epochs, state->epoch_count, compartment),
                            ident_span(compartment), &first);
    return first;
}

size_t
roster_boxes(const struct roster *roster, const struct hash *epoch_id, const struct hash *device_id,
             const uint8_t **sealed_out, size_t room)
{
    const struct state *state = roster->state;
    const struct roster_epoch *epoch = state_epoch(state, epoch_id);
    size_t count = 0;

    if (epoch == NULL) {
        return 0;
    }
    const uint8_t *own = statement_box_find(&epoch->boxes, device_id);
    if (own != NULL) {
        if (count < room) {
            sealed_out[count] = own;
        }
        count++;
    }
    for (size_t n = state_box_from(state, epoch_id, device_id); n < state->box_count; n++) {
        const struct box_state *box = &state->boxes[n];
        if (!hash_equal(&box->epoch_id, epoch_id) || !hash_equal(&box->device_id, device_id)) {
            break;
        }
        if (count < room) {
            sealed_out[count] = box->sealed;
        }
        count++;
    }
    return count;
}

bool
roster_has_box(const struct roster *roster, const struct hash *epoch_id, const struct hash *device_id)
{
    return roster_boxes(roster, epoch_id, device_id, NULL, 0) > 0;
}

/* The first actor that is not below this office and number. */
static size_t
actor_from(const struct state *state, const uint8_t *office_pk, uint64_t number)
{
    size_t low = 0;
    size_t high = state->actor_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct roster_actor *actor = &state->actors[middle];
        int order = memcmp(actor->office_pk, office_pk, SIGN_PK_BYTES);
        if (order < 0 || (order == 0 && actor->number < number)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct roster_actor *
roster_actor(const struct roster *roster, const struct roster_office *office, uint32_t number)
{
    const struct state *state = roster->state;
    const uint8_t *house = office->house->office_pk;
    size_t at = actor_from(state, house, number);

    return at < state->actor_count && state->actors[at].number == number &&
                   memcmp(state->actors[at].office_pk, house, SIGN_PK_BYTES) == 0
               ? &state->actors[at]
               : NULL;
}

const struct roster_actor *
roster_actors_of(const struct roster *roster, const struct roster_office *office, size_t *count_out)
{
    const struct state *state = roster->state;
    const uint8_t *house = office->house->office_pk;
    size_t from = actor_from(state, house, 0);

    *count_out = actor_from(state, house, (uint64_t)UINT32_MAX + 1) - from;
    return state->actors + from;
}
