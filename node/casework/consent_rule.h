/* consent_rule.h - what a save asks of the persons in a case: DOMAIN (b.3).
 *
 *     a step that shares or publishes --+                       +--> who must have agreed to what
 *     an action that reaches outside ---+--> scopes, by tables -+
 *     an override, of an action only ---+                       +--> or a sentence why that is none
 *
 * Rules for whoever saves here, as in workflow.h. Pure: what a person agreed to is read elsewhere.
 */
#pragma once

#include "node/casework/consent.h"
#include "node/casework/workflow.h"

/* What a step or an action needs of every person of the case. */
struct consent_need {
    const char *what; /* "shared_with_hq", "allegation_letter"; lent by the codebook */
    uint32_t all;     /* every one of these scopes */
    uint32_t any;     /* and one of these; 0: none */
    bool
        unseen; /* nobody may be recognised, unless the gate no_harm was passed for the step since that was said */
    uint32_t step;  /* 0: an action */
    bool publishes; /* a step, or an action whose words the public reads: there is no override */
    uint8_t element[ELEMENT_ID_BYTES]; /* of an action */
};

/* The step that a save takes, if it shares or publishes, and the actions that it adds or makes something else of, if they reach
 * somebody outside; in the arena. ERR_MEMORY. */
MUST_CHECK enum err consent_needs(const struct workflow_save *save, struct arena *arena,
                                  const struct consent_need **needs_out, size_t *count_out);

/* What of a need the person did not agree to: scopes of `all`, and those of `any` if none of them was granted. `seen_out`: the
 * person may be recognised, and that was said later than `no_harm_hlc`. */
uint32_t consent_missing(const struct consent_need *need, const struct consent *consent, uint64_t no_harm_hlc,
                         bool *seen_out);

/* An override that a save adds. */
struct consent_override {
    struct ident person;
    uint32_t scopes;
    const char *reason; /* in the arena; "" if it has none */
    bool whole;         /* it has person, scopes and a reason */
    bool has_action;    /* it is for this one alone */
    uint8_t action[ELEMENT_ID_BYTES];
};

/* Those that a save adds, in the arena. ERR_MEMORY. */
MUST_CHECK enum err consent_overrides(const struct workflow_save *save, struct arena *arena,
                                      const struct consent_override **overrides_out, size_t *count_out);

/* May this be overridden? It must have person, scopes and reason, each scope one that an action of the same save needs which does
 * not publish, and be added by who has the role review or headquarters. False: `fault_out` says why not. */
MUST_CHECK bool consent_may_override(const struct workflow_save *save, const struct consent_need *needs,
                                     size_t need_count, const struct consent_override *override,
                                     struct workflow_fault *fault_out);

/* The scopes of the need that are overridden for a person. */
uint32_t consent_overridden(const struct consent_need *need, const struct consent_override *overrides,
                            size_t count, const struct ident *person);

/* The persons of a case as it will be after the save, each once, in the arena: those of the collection of victims and associated
 * persons, and those whom acts name. ERR_MEMORY. */
MUST_CHECK enum err consent_persons(const struct workflow_save *save, struct arena *arena,
                                    const struct ident **persons_out, size_t *count_out);

/* Add to the ops of a save what goes without saying: a new statement of a person that names none takes the place of those that govern
 * a scope of it now, and with a withdrawal of record_in_system the record is restricted, in an element `restriction`; an
 * override that names no action is for the only one of this save, if there is one. `withdraws_out`: it withdraws something. `ops` have room for `room`.
 * ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err consent_complete(const struct workflow_save *save, const struct edtf_day *today,
                                     const uint8_t restriction[ELEMENT_ID_BYTES], struct arena *arena,
                                     struct save_op *ops, size_t room, size_t *count_inout,
                                     bool *withdraws_out);
