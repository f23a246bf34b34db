#include "sync/policy.h"

#include <assert.h>
#include <stddef.h>

enum level
policy_level_needed(enum operation operation)
{
    static const enum level needed[OPERATION_COUNT] = {
        [OPERATION_CARRY] = LEVEL_CARRY,         [OPERATION_READ] = LEVEL_READ,
        [OPERATION_WRITE_DATA] = LEVEL_WRITE,    [OPERATION_WRITE_KEY] = LEVEL_WRITE,
        [OPERATION_WRITE_CONTROL] = LEVEL_WRITE, [OPERATION_EPOCH] = LEVEL_ADMIN,
        [OPERATION_ACTOR] = LEVEL_ADMIN,
    };

    assert(operation < OPERATION_COUNT);
    return needed[operation];
}

/* True if such a thing is done in compartments of this role at all. */
static bool
role_knows(enum compartment_role role, enum operation operation)
{
    bool control = role == COMPARTMENT_CONTROL;

    switch (operation) {
    case OPERATION_CARRY:
    case OPERATION_READ:
        return true;
    case OPERATION_WRITE_DATA:
    case OPERATION_WRITE_KEY:
    case OPERATION_EPOCH: /* the key of `control` is made at founding, for good */
        return !control;
    case OPERATION_WRITE_CONTROL:
        return control;
    case OPERATION_ACTOR:
        return role == COMPARTMENT_CASES;
    case OPERATION_COUNT:
        break;
    }
    return false;
}

bool
policy_may(const struct roster *roster, const struct roster_device *device, enum operation operation,
           const struct ident *compartment)
{
    const struct roster_compartment *here = roster_compartment(roster, compartment);

    return here != NULL && role_knows(here->role, operation) &&
           roster_level(roster, device, compartment) >= policy_level_needed(operation);
}

enum admission
policy_admit(const struct roster *roster, const struct roster_device *own,
             const struct descriptor *descriptor)
{
    if (!roster_ever_certified(roster, descriptor->sign_pk)) {
        return LATER_UNKNOWN_AUTHOR;
    }
    /* What was written by right is taken in whatever was revoked since: whether it counts is its standing. */
    if (roster_ever_level(roster, descriptor->sign_pk, &descriptor->compartment) < LEVEL_WRITE) {
        return LATER_NO_WRITE;
    }
    if (roster_level(roster, own, &descriptor->compartment) < LEVEL_CARRY) {
        return LATER_NOT_OURS;
    }
    return ADMIT;
}

const char *
policy_admission_text(enum admission admission)
{
    switch (admission) {
    case ADMIT:
        return "its author may write there";
    case LATER_UNKNOWN_AUTHOR:
        return "no certificate known here names its author";
    case LATER_NO_WRITE:
        return "no certificate known here gives its author write there";
    case LATER_NOT_OURS:
        return "this node has no part in that compartment";
    }
    return "an answer without a name";
}

/* What an entry of this kind does, and in which lanes. False: no kind that this version knows. */
static bool
operation_of_kind(uint8_t kind, uint8_t lane, enum operation *operation_out, bool *lane_fits_out)
{
    switch (kind) {
    case ENTRY_DATA:
        *operation_out = OPERATION_WRITE_DATA;
        *lane_fits_out = lane >= LANE_URGENT && lane <= LANE_BULK;
        return true;
    case ENTRY_KEY:
        *operation_out = OPERATION_WRITE_KEY;
        *lane_fits_out = lane == LANE_CONTROL;
        return true;
    case ENTRY_CONTROL:
    case ENTRY_RECEIPT:
    case ENTRY_SEAL:
        *operation_out = OPERATION_WRITE_CONTROL;
        *lane_fits_out = lane == LANE_CONTROL;
        return true;
    default:
        return false;
    }
}

/* Why the entry is held for what its header and log say. */
static enum held_reason
reason_of_header(const struct roster *roster, const struct descriptor *descriptor, const struct entry *entry)
{
    const struct roster_compartment *here = roster_compartment(roster, &descriptor->compartment);
    const struct roster_device *author = roster_author_by_sign_pk(roster, descriptor->sign_pk);
    enum operation operation = OPERATION_CARRY;
    bool lane_fits = false;

    /* Each check stands for itself, in the order in which reasons are shown. */
    if (here == NULL || roster_author_level(roster, author, &descriptor->compartment) < LEVEL_WRITE) {
        return HELD_NO_RIGHT;
    }
    if (!operation_of_kind(entry->kind, entry->lane, &operation, &lane_fits) || !lane_fits) {
        return HELD_WRONG_LANE;
    }
    if (!role_knows(here->role, operation)) {
        return HELD_WRONG_COMPARTMENT;
    }
    if (here->padded && entry->kind == ENTRY_DATA && (entry->flags & ENTRY_PADDED) == 0) {
        return HELD_NOT_PADDED;
    }
    return HELD_NOT;
}

bool
policy_opens(const struct roster *roster, const struct roster_device *own, const struct ident *compartment)
{
    return roster_compartment(roster, compartment) != NULL &&
           roster_author_level(roster, own, compartment) >= policy_level_needed(OPERATION_READ);
}

enum standing
policy_judge(const struct roster *roster, const struct roster_device *own,
             const struct descriptor *descriptor, const struct entry *entry, enum held_reason *reason_out)
{
    enum held_reason reason = reason_of_header(roster, descriptor, entry);

    if (reason_out != NULL) {
        *reason_out = reason;
    }
    if (reason != HELD_NOT) {
        return STANDING_HELD;
    }
    return policy_opens(roster, own, &descriptor->compartment) ? STANDING_MERGED : STANDING_CARRIED;
}

enum held_reason
policy_reason_of_fault(enum entry_fault fault)
{
    switch (fault) {
    case FAULT_NONE:
    case FAULT_SCHEMA:
    case FAULT_MEMORY:
        return HELD_NOT;
    case FAULT_DOES_NOT_OPEN:
        return HELD_DOES_NOT_OPEN;
    case FAULT_PADDING:
        return HELD_PADDING;
    case FAULT_COMPRESSION:
        return HELD_COMPRESSION;
    case FAULT_TOO_LARGE:
        return HELD_OVER_LIMIT;
    }
    return HELD_NOT;
}

enum standing
policy_worse(enum standing a, enum standing b)
{
    return a > b ? a : b;
}

enum held_reason
policy_reason_shown(enum held_reason a, enum held_reason b)
{
    if (a == HELD_NOT || b == HELD_NOT) {
        return a == HELD_NOT ? b : a;
    }
    return a < b ? a : b;
}

bool
policy_may_speak(const struct roster *roster, const struct roster_device *own,
                 const struct roster_device *peer, const struct ident *compartment)
{
    return policy_may(roster, own, OPERATION_CARRY, compartment) &&
           policy_may(roster, peer, OPERATION_CARRY, compartment);
}

bool
policy_field_belongs(const struct roster_compartment *compartment, enum sensitivity sensitivity)
{
    switch (compartment->role) {
    case COMPARTMENT_PROTECTED:
        return sensitivity == LEVEL_L3;
    case COMPARTMENT_AUDIT:
        return true;
    case COMPARTMENT_CONTROL:
        return false;
    case COMPARTMENT_SHARED:
    case COMPARTMENT_CASES:
    case COMPARTMENT_OTHER:
        return sensitivity != LEVEL_L3;
    }
    return false;
}

const char *
standing_name(enum standing standing)
{
    static const char *const names[STANDING_COUNT] = {
        [STANDING_MERGED] = "merged",
        [STANDING_CARRIED] = "carried",
        [STANDING_HELD] = "held",
        [STANDING_ERASED] = "erased",
    };

    return (size_t)standing < STANDING_COUNT ? names[standing] : "unknown";
}

static const struct {
    const char *name;
    const char *text;
} reasons[HELD_COUNT] = {
    [HELD_NOT] = { "not-held", "it is not held" },
    [HELD_NO_RIGHT] = { "no-right", "its author has no right to write there" },
    [HELD_WRONG_LANE] = { "wrong-lane", "this kind of entry does not belong in this lane" },
    [HELD_WRONG_COMPARTMENT] = { "wrong-compartment",
                                 "this kind of entry does not belong in this compartment" },
    [HELD_DOES_NOT_OPEN] = { "does-not-open", "its seal does not open with the key it names" },
    [HELD_PADDING] = { "padding", "it is padded wrongly" },
    [HELD_COMPRESSION] = { "compression", "what was compressed does not come back" },
    [HELD_NOT_CANONICAL] = { "not-canonical", "its payload is not in its one encoding" },
    [HELD_OVER_LIMIT] = { "over-limit", "its payload is larger or deeper than an entry may be" },
    [HELD_RECORD_TAG] = { "record-tag", "it names a record to which it does not belong" },
    [HELD_WRONG_LEVEL] = { "wrong-level", "it holds a field that belongs in the other compartment" },
    [HELD_RECORD_KEY] = { "record-key", "the key it brings is not that of its record" },
    [HELD_WRONG_SHAPE] = { "wrong-shape", "its payload is that of another kind of entry" },
    [HELD_NOT_PADDED] = { "not-padded", "it is not padded where every payload is" },
    [HELD_BEYOND_CUT] = { "beyond-cut", "it lies beyond where its author's log ends" },
};

const char *
held_reason_name(enum held_reason reason)
{
    return (size_t)reason < HELD_COUNT ? reasons[reason].name : "unknown";
}

const char *
held_reason_text(enum held_reason reason)
{
    return (size_t)reason < HELD_COUNT ? reasons[reason].text : "a reason that only a newer version knows";
}
