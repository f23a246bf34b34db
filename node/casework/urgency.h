/* urgency.h - how soon somebody must look at a case: DOMAIN (b.2).
 *
 *     acts, their stage and dates --+                      +--> what the facts ask for, and why
 *     where the persons are --------+--> one table, today -+
 *     what got into other hands ----+                      (the case says what it is set to: nothing changes that but a person)
 *
 *     urgency   emergency (U1)  >  urgent (U2)  >  priority (U3)  >  routine (U4)
 *     alert     set by a save that makes a case U1 or U2, taken away by an acknowledgement that saw it: one that was made
 *               at the same time leaves it standing
 *
 * A case waits to be acknowledged while it is U1 or U2 and has an alert, or no acknowledgement of that urgency. Pure: it reads what
 * it is given, in the case half alone, so that nothing of level L3 comes from here.
 */
#pragma once

#include "node/casework/workflow.h"
#include "store/edtf.h"

/* The values of vocabulary `urgency`: a lower number is more urgent. */
enum urgency {
    URGENCY_NONE = 0, /* not set; or nothing is known that a rule is about */
    URGENCY_EMERGENCY,
    URGENCY_URGENT,
    URGENCY_PRIORITY,
    URGENCY_ROUTINE
};

/* True if `a` is more urgent than `b`. */
bool urgency_is_above(enum urgency a, enum urgency b);

/* "U1" to "U4"; "" for none. */
const char *urgency_short(enum urgency urgency);
/* The name of the value, "emergency"; "" for none. */
const char *urgency_name(enum urgency urgency);

/* --- what the facts ask for --- */

/* Codes go by their names in the codebook; NULL: not said. */
struct urgency_act {
    const char *type;
    const char *stage;
    const char *whereabouts;
    const char *contact;
    bool at_un_event;
    bool has_from;
    bool has_to;
    bool has_hearing;
    struct edtf from;
    struct edtf to;
    struct edtf hearing;
    const struct ident *victims; /* whom it names */
    size_t victim_count;
};

struct urgency_person {
    struct ident record_id;
    const char *situation;
    bool child;
};

struct urgency_facts {
    const char *kind; /* of the case */
    const struct urgency_act *acts;
    size_t act_count;
    struct urgency_person *persons; /* victims of the case: their ids, and what urgency_read_person found */
    size_t person_count;
    const struct edtf *meetings; /* dates of cooperation with the UN */
    size_t meeting_count;
    bool exposed;  /* an identity leaked, or a device was seized */
    bool new_harm; /* a follow-up tells of it */
};

/* Read the facts of a case from its case half; all of it lives in `arena`. Of its victims only the ids are known then. An act
 * whose type is in conflict is there once for each type. False: no memory. */
MUST_CHECK bool urgency_read(const struct codebook *codebook, const struct record_view *open,
                             struct arena *arena, struct urgency_facts *facts_out);

/* What the summary of a person adds. */
void urgency_read_person(const struct codebook *codebook, const struct record_summary *summary,
                         struct urgency_person *person);

enum { URGENCY_REASONS_MAX = 8 };

struct urgency_verdict {
    enum urgency asks;                        /* URGENCY_NONE: no rule is about what is known */
    const char *reasons[URGENCY_REASONS_MAX]; /* each once, in the order of the table */
    size_t reason_count;
};

/* Go through the table. `today_ms`: some time of this day, by the wall clock. */
struct urgency_verdict urgency_judge(const struct urgency_facts *facts, uint64_t today_ms);

/* The table, to be gone through in tests. */
struct urgency_rule {
    enum urgency asks;
    const char *acts;       /* names of act types, "*": any; NULL: it is not about an act */
    const char *stages;     /* names of stages, "-" for one that is not said; NULL: any */
    const char *situations; /* of a person, "*": any; NULL: it is not about a person */
    unsigned when;          /* enum urgency_when: all must hold */
    const char *reason;
};

enum urgency_when {
    WHEN_RECENT = 1,       /* the act goes on, or nothing says that it ended more than a year ago */
    WHEN_PAST = 2,         /* the opposite */
    WHEN_CHILD = 4,        /* the person is a child; one that the act names, if it names any */
    WHEN_OUT_OF_REACH = 8, /* nobody is told where somebody is held */
    WHEN_NO_CONTACT = 16,  /* somebody is held without contact */
    WHEN_HEARING = 32,     /* within 14 days */
    WHEN_MEETING = 64,     /* of cooperation with the UN, still to come */
    WHEN_IN_SESSION = 128, /* at the UN, and today or going on */
    WHEN_OF_PERSONS = 256, /* no legislation, and no pattern */
    WHEN_PATTERN = 512,    /* the case is about a pattern or about legislation */
    WHEN_EXPOSED = 1024,   /* of the case: an identity leaked, or a device was seized */
    WHEN_NEW_HARM = 2048,  /* of the case: a follow-up tells of it */
};

const struct urgency_rule *urgency_rules(size_t *count_out);

/* --- what is set, and who looked at it --- */

struct urgency_state {
    enum urgency set;
    bool waits;         /* U1 or U2, and nobody acknowledged that */
    uint64_t since_hlc; /* claimed: since when it is that urgent; 0 if it is none */
};

/* From the case half. */
struct urgency_state urgency_state(const struct record_view *open);

/* --- saves --- */

/* Does the save leave the urgency, or raise it, or lower it with a reason by somebody with the role review or headquarters? False:
 * `fault_out` says what is missing. */
MUST_CHECK bool urgency_allows(const struct workflow_save *save, struct workflow_fault *fault_out);

/* True if the case is U1 or U2 before the save or after it: it goes ahead of others. */
bool urgency_hastens(const struct workflow_save *save);

/* What the save makes of it, if that is U1 or U2 and more than it was before; else URGENCY_NONE. */
enum urgency urgency_raises(const struct workflow_save *save);
