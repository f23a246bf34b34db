/* facts.h - what is counted of records, in numbers.
 *
 *     journal --> trail.h --> summaries of records --> (what, element, value) ... --> statistics.h
 *
 *     case 7   status 11 | country_of_act#1 KEN | act_type#2 12 | act_victim#2 -> person 9 | act_type#3 8 | ...
 *
 * Kept in memory, filled when the first figure is asked for and caught up after that, off the write path: a node that nobody
 * asks pays nothing. Only what the records' summaries hold is read, so that no entry is opened: 100,000 cases take seconds, not
 * minutes. No text is in it. A restricted record is not in it, nor one that was erased, from the place on that says so.
 *
 * A register that holds several values counts with the one that is shown first, as lists do; that there is a conflict is
 * counted too. Of consent all of them count: see agreed.h.
 */
#pragma once

#include "node/casework/trail.h"

enum fact_kind { FACTS_CASE = 1, FACTS_PERSON, FACTS_WINDOW, FACTS_STUB, FACTS_KINDS };

/* What a number says. */
enum fact_what {
    FACT_NONE = 0,
    /* of a case */
    FACT_STATUS, /* codes: the number of the value */
    FACT_VERIFICATION,
    FACT_TRANSNATIONAL, /* 1 yes, 0 no, as every bool */
    FACT_OF_WINDOW,     /* a record: see facts_named; of a count stub too */
    FACT_HOST,          /* country where it happened: see fact_country */
    FACT_STATE,         /* country alleged to be responsible */
    FACT_SOURCE,
    FACT_EARLIER_REPORT, /* always 1: one more report that it was in */
    FACT_VICTIM,         /* elements of the same number belong together */
    FACT_VICTIM_PART,
    FACT_ACT_TYPE,
    FACT_ACT_STAGE,
    FACT_ACT_DAY, /* a day: see fact_day; none unless it is known to the day */
    FACT_ACT_VICTIM,
    FACT_ACT_ONLINE,
    FACT_ACT_BASIS,
    FACT_PERPETRATOR_TYPE,
    FACT_PERPETRATOR_SIDE,
    FACT_UN_ACTOR,
    FACT_ACTION_SIDE,
    FACT_ACTION_DAY,
    FACT_FOLLOW_UP_WINDOW,
    FACT_DEVELOPMENT,
    FACT_NEXT_REVIEW,
    /* of a person or group */
    FACT_UNIT,
    FACT_LEAST, /* of a group: at least so many persons */
    FACT_GENDER,
    FACT_AGE,
    FACT_ROLE,
    FACT_SITUATION,
    FACT_CONSENT_SCOPE,
    FACT_CONSENT_DECISION,
    FACT_CONSENT_UNTIL, /* the last day that it may mean; 1 if it cannot be read; none where the end is open */
    FACT_CONSENT_REPLACES, /* the number of the element whose place it takes */
    FACT_SAME_AS,          /* records */
    FACT_NOT_SAME_AS,
    /* of a reporting window */
    FACT_FROM,
    FACT_TO,
    /* of a count stub */
    FACT_STUB_STATE,
    FACT_STUB_GROUP,
    FACT_COUNT
};

struct fact {
    uint16_t what;    /* enum fact_what */
    uint16_t element; /* which of the record's elements it is of; 0: the record itself */
    uint32_t value;
};

struct fact_record {
    uint32_t record_no;
    uint32_t name; /* its own id, as values name it */
    enum fact_kind kind;
    uint32_t created_day;
    bool conflict; /* something in it has several values */
    uint32_t fact_count;
    struct fact facts[]; /* those of one element beside each other */
};

struct facts;

/* NULL: no memory. */
struct facts *facts_new(void);
void facts_free(struct facts **facts);

/* Read a slice of what is not here yet. Between turns, with no reader open. ERR_ABSENT: nothing is left to be read. Others as
 * replica_begin_read, ERR_MEMORY: the slice is read again later. `now_ms`: of the steady clock. */
MUST_CHECK enum err facts_read(struct facts *facts, struct replica *replica, uint64_t now_ms);

/* When the next slice is due: see trail_due_ms. Never before somebody asked. */
uint64_t facts_due_ms(struct facts *facts, struct replica *replica, uint64_t now_ms);

/* What facts are made of, one record at a time: for a set of records that is not the replica's latest. The first call
 * says by which codebook; ERR_MEMORY. A record of another kind, or a restricted one, leaves nothing. */
MUST_CHECK enum err facts_begin(struct facts *facts, const struct codebook *codebook);
MUST_CHECK enum err facts_put(struct facts *facts, const struct record_summary *summary);
void facts_drop(struct facts *facts, uint32_t record_no);

/* Another number once any fact is another. */
uint64_t facts_version(const struct facts *facts);

/* False: the codebook has no such field, or one that is in no summary, so that nothing can be said of it. */
bool facts_has(const struct facts *facts, enum fact_what what);

/* The vocabulary of a code; 0 of anything else. */
uint32_t facts_vocabulary(const struct facts *facts, enum fact_what what);

/* Records by place, from 0 to facts_end - 1; NULL: there is none at it. Lent until the next change. */
uint32_t facts_end(const struct facts *facts);
const struct fact_record *facts_at(const struct facts *facts, uint32_t place);

/* The record that a value names. NULL: it is not here. */
const struct fact_record *facts_named(const struct facts *facts, uint32_t name);

/* How values name a record; 0: no value does. And back; `name` is not 0. */
uint32_t facts_name(const struct facts *facts, const struct ident *record_id);
const struct ident *facts_id(const struct facts *facts, uint32_t name);

/* Names are from 1 to this. */
uint32_t facts_name_count(const struct facts *facts);

/* A country as a value, 1 to FACT_COUNTRIES, and back. 0: no three letters A to Z. */
enum { FACT_COUNTRIES = 26 * 26 * 26 };
uint32_t fact_country(struct span alpha3);
void fact_country_text(uint32_t country, char alpha3_out[4]);

/* Days since 1 March of the year 0, and of "2026-03-14" the same; 0: that is no day. */
uint32_t fact_day(unsigned year, unsigned month, unsigned day);
uint32_t fact_day_of(struct span text);
