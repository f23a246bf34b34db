/* consent.h - what a person agreed to: DOMAIN (a.8).
 *
 *     A  share_with_hq, media   granted        stands for media alone
 *     ^                                        (B speaks of sharing, and takes its place there)
 *     +- B  share_with_hq       refused        stands, concurrent with C
 *     +- C  share_with_hq       granted        stands
 *                                              share_with_hq: refused, the more protective of B and C
 *
 * A statement takes the place of those that it names, for the scopes that it speaks of. Of those that are left the most
 * protective one governs: withdrawn, refused, expired, unknown, granted; where nothing was said, unknown. Pure: it reads what a
 * view shows.
 */
#pragma once

#include "store/codebook.h"
#include "store/edtf.h"
#include "store/record.h"

/* Numbers of the vocabularies consent_scope and consent_decision. */
enum consent_scope {
    CONSENT_RECORD_IN_SYSTEM = 1,
    CONSENT_SHARE_WITH_HQ,
    CONSENT_SHARE_WITH_SPECIAL_PROCEDURES,
    CONSENT_SHARE_WITH_TREATY_BODY,
    CONSENT_SHARE_WITH_UNCT_OR_MISSION,
    CONSENT_RAISE_WITH_GOVERNMENT,
    CONSENT_PUBLISH_NAMED,
    CONSENT_PUBLISH_ANONYMISED,
    CONSENT_COUNT_ONLY,
    CONSENT_MEDIA,
    CONSENT_CONTACT_AGAIN,
    CONSENT_SCOPES = CONSENT_CONTACT_AGAIN,
};

enum consent_decision {
    CONSENT_GRANTED = 1,
    CONSENT_REFUSED,
    CONSENT_WITHDRAWN,
    CONSENT_EXPIRED,
    CONSENT_UNKNOWN,
};

/* A set of scopes. */
#define CONSENT_BIT(scope) (UINT32_C(1) << (scope))

enum consent_concern { CONCERN_NOT_SAID = 0, CONCERN_NO, CONCERN_YES };

struct consent_statement {
    uint8_t element[ELEMENT_ID_BYTES];
    uint32_t scopes;                      /* that it speaks of */
    uint32_t stands;                      /* of these, where no other has taken its place */
    enum consent_decision decision;       /* as it counts today: what was granted expires */
    bool ended;                           /* the last day that it may be valid is over */
    enum consent_concern concern;         /* may the person be recognised even if unnamed? */
    bool concern_stands;                  /* it says so, and no statement that takes its place denies it */
    uint64_t hlc;                         /* when it was made or changed last, as claimed */
    const struct record_target *replaces; /* lent by the view; NULL: it names none */
};

struct consent {
    const struct consent_statement *statements; /* in the order of their elements, in the arena */
    size_t count;
    enum consent_decision decisions[CONSENT_SCOPES + 1]; /* that governs, by scope */
    uint32_t said;                                       /* scopes of which a statement stands */
    bool concern;                                        /* one stands */
    uint64_t concern_hlc;                                /* the latest of them, as claimed */
};

/* Read the statements that the case half of a person's record shows, as they count on the day `today`. NULL for a view: nothing
 * was said. A withdrawal or refusal of record_in_system covers every scope, but count_only where that was granted; and so does a
 * restriction of the record, whatever its reason. A date that cannot be read is over, a decision that is not known here is unknown,
 * a concern that is neither yes nor no stands. ERR_MEMORY. */
MUST_CHECK enum err consent_read(const struct codebook *codebook, const struct record_view *person,
                                 const struct edtf_day *today, struct arena *arena,
                                 struct consent *consent_out);

/* A statement takes the place of another one: their numbers. */
struct consent_place {
    size_t later;
    size_t earlier;
};

/* The rule itself, over statements wherever they were read: all that consent_read does but reading. Of each, `scopes`, `decision`
 * as it was said, `ended`, `concern` and `hlc` are set by the caller, the rest here; `statements` is lent to the consent. Those of
 * several records of one person are as those of one record. `restricted`: the record is. ERR_MEMORY. */
MUST_CHECK enum err consent_settle(struct consent_statement *statements, size_t count,
                                   const struct consent_place *places, size_t place_count, bool restricted,
                                   struct arena *arena, struct consent *consent_out);

/* The more protective of two decisions. */
enum consent_decision consent_stricter(enum consent_decision a, enum consent_decision b);

/* What governs a scope: as decisions[], but where nothing was said of publishing unnamed, what was said of publishing with the
 * name governs, and where nothing was said of counting, what governs publishing unnamed: who agrees to more agrees to less. */
enum consent_decision consent_governing(const struct consent *consent, enum consent_scope scope);

/* True if the statement made the decision that governs the scope. */
bool consent_made_by(const struct consent *consent, const struct consent_statement *statement,
                     enum consent_scope scope);

/* What may be said of a person, or of a case with several: a set of these. */
enum consent_use {
    CONSENT_USE_COUNT = 1,
    CONSENT_USE_ANONYMISED = 2,
    CONSENT_USE_NAMED = 4,
};

/* What the person agreed to. `no_harm_hlc`: when it was found last that nobody is recognised in the case (0: never); a concern
 * that was said later than that leaves no description without the name. */
uint32_t consent_uses(const struct consent *consent, uint64_t no_harm_hlc);

/* True if a person whom a report leaves out may be in the number of those left out: he has not refused or withdrawn to be counted
 * at all. */
bool consent_allows_withheld(const struct consent *consent);

/* The names of scope and decision in the codebook; "unknown here" if it has none. */
const char *consent_scope_name(const struct codebook *codebook, enum consent_scope scope);
const char *consent_decision_name(const struct codebook *codebook, enum consent_decision decision);
