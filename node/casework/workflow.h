/* workflow.h - which step a record may take on its way: DOMAIN (b.1) and (b.3).
 *
 *     codebook: steps, gates, fields of a stage --+
 *     the record as it is ------------------------+--> allowed, or a sentence that says what is missing
 *     what somebody is about to save -------------+
 *
 * A rule for whoever saves here, and for nobody else: what a peer signed is merged whatever step it takes, and two steps that
 * were taken at once stand side by side until a person chooses. Pure: it reads what it is given.
 */
#pragma once

#include "sync/replica.h"

/* Who makes a save, as its entry will say. */
struct workflow_person {
    struct hash device_id;
    uint32_t actor;
    uint32_t
        roles; /* enum device_role: of the device's certificate, and of the actor if the office has named one */
};

struct workflow_save {
    const struct codebook *codebook;
    uint32_t kind;
    const struct replica_view *view; /* the record as it is; of a new one all zero */
    const struct save_op *ops;
    size_t op_count;
    struct workflow_person person;
};

struct workflow_fault {
    char what[320];
    char hint[320];
};

/* True if the save takes no step, or one that it may: the vocabulary of the stage has it, the fields that are asked for by then
 * are filled in, and its gates were passed. A gate is passed if of its reviews for that step, since the record is where it is, the
 * one of the latest claimed time says so and none of that time refuses; four eyes are another person's than who takes the step. A
 * step from any value (out of the way) asks for no field. What this node cannot read it does not miss. And a save that passes or
 * refuses a gate is allowed to whoever has a role for it. False: `fault_out` says why, and quotes no value but codes. */
MUST_CHECK bool workflow_allows(const struct workflow_save *save, struct workflow_fault *fault_out);

/* The value that the save brings the stage to. False: it takes no step, or chooses one of several that were taken at once. */
MUST_CHECK bool workflow_step(const struct workflow_save *save, uint32_t *to_out);

/* When a gate before a step was last passed, as claimed, whatever steps were taken since; 0: it was not, or what was said last
 * refuses. Of `save` the codebook, the kind and the view count. */
uint64_t workflow_gate_passed(const struct workflow_save *save, enum codebook_gate gate, uint32_t step);

/* Every op leaves standing what an append-only collection holds: nothing is removed, no value of one replaces another; a union may grow, and an
 * ordered value may give way to one that counts for more. Of values that were given at once, and are none of those, one may be
 * chosen. False: `fault_out` says which. */
MUST_CHECK bool workflow_keeps(const struct workflow_save *save, struct workflow_fault *fault_out);
