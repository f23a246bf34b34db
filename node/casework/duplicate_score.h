/* duplicate_score.h - how likely it is that two records are of one person, or of one case, and why.
 *
 *     two views --> facts of each --> reasons, each with its points --> 0 to 100
 *                      |
 *                      +--> keys: two records that reach DUPLICATE_THRESHOLD have one in common
 *
 * Facts hold no name and no text: parts of names are keyed hashes of how they are written in Latin letters and of how they
 * sound. Where a field is in conflict, is not filled in or says "unknown", nothing speaks for or against. Points are data,
 * in one table; that no two records reach the threshold without a common key follows from them, and is checked when
 * this is compiled.
 *
 * Nothing here decides anything: a person does.
 */
#pragma once

#include "store/codebook.h"
#include "store/search_words.h"
#include "sync/replica.h"

enum { DUPLICATE_THRESHOLD = 60, DUPLICATE_POINTS_MAX = 100, DUPLICATE_REASONS_MAX = 8 };

enum duplicate_rule {
    DUPLICATE_NAME_WHOLE, /* persons */
    DUPLICATE_NAME_ONLY,
    DUPLICATE_NAME_PARTS,
    DUPLICATE_NAME_PART,
    DUPLICATE_NAME_LETTERS,
    DUPLICATE_GENDER_SAME,
    DUPLICATE_GENDER_OTHER,
    DUPLICATE_UNIT_OTHER,
    DUPLICATE_BIRTH_SAME,
    DUPLICATE_BIRTH_NEAR,
    DUPLICATE_BIRTH_OTHER,
    DUPLICATE_AGE_SAME,
    DUPLICATE_AGE_OTHER,
    DUPLICATE_NATION_SAME,
    DUPLICATE_CASES_ACT,
    DUPLICATE_CASES_MONTH,
    DUPLICATE_CASES_COUNTRY,
    DUPLICATE_CASE_ONE,
    DUPLICATE_PERSON_ONE, /* cases */
    DUPLICATE_PERSON_ALIKE,
    DUPLICATE_PERSONS_OTHER,
    DUPLICATE_ACT_SAME,
    DUPLICATE_MONTH_SAME,
    DUPLICATE_COUNTRY_SAME,
    DUPLICATE_TIME_APART,
    DUPLICATE_DAY_SAME,
    DUPLICATE_AREA_SAME,
    DUPLICATE_PERPETRATOR_SAME,
    DUPLICATE_COOPERATION_SAME,
    DUPLICATE_RULE_COUNT
};

struct duplicate_rule_text {
    const char *name; /* stable, for programs */
    int points;       /* below 0: it speaks against */
    const char *text; /* English, what it means */
};

/* By enum duplicate_rule. */
extern const struct duplicate_rule_text duplicate_rules[DUPLICATE_RULE_COUNT];

/* --- facts --- */

/* A part of a name. */
struct duplicate_part {
    uint64_t latin;
    uint64_t sound;
    bool weak; /* fewer than three consonants: its sound says something beside other parts only */
};

/* Days from and to, of no calendar: 31 to a month, 12 months to a year, so that a month is 31 of them wherever it is. */
struct duplicate_act {
    uint32_t type; /* 0: not known */
    uint32_t area; /* hash of the subdivision; 0: not known */
    int32_t from;  /* open: INT32_MIN */
    int32_t to;    /* open: INT32_MAX */
    bool dated;
};

/* What a record says of another: they are one, or they are two. */
struct duplicate_said {
    struct ident record_id;
    bool same;
};

struct duplicate_facts {
    bool person;     /* else a case */
    uint32_t gender; /* 0: not known, and so below */
    uint32_t age_group;
    uint32_t unit;      /* 1: an individual, 2: several */
    int32_t birth_from; /* years; -1: not known */
    int32_t birth_to;
    uint64_t perpetrators; /* sets of codes that say something, bit by number */
    uint64_t cooperation;
    const struct duplicate_part *parts;
    size_t part_count;
    const uint8_t *readings; /* how many of the parts each name has, in each of its readings */
    size_t reading_count;
    const uint32_t
        *countries; /* of a person: nationality and residence. "KEN" as its three letters, ascending */
    size_t country_count;
    const struct duplicate_act *acts;
    size_t act_count;
    const struct ident *persons; /* that a case names */
    size_t person_count;
    const struct duplicate_said *said;
    size_t said_count;
};

struct duplicate_maker;

/* What makes facts. `hash_key`: of their hashes, which are comparable under one key only. ERR_MEMORY; ERR_INVALID: the
 * data of ICU is not installed. */
MUST_CHECK enum err duplicate_maker_new(struct duplicate_maker **maker_out, const uint8_t hash_key[16]);
void duplicate_maker_free(struct duplicate_maker **maker);

/* The facts of a person or a case, as much as the view shows. Free them with duplicate_facts_free. NULL, and ERR_OK: it is of
 * another kind. ERR_MEMORY. */
MUST_CHECK enum err duplicate_facts_read(struct duplicate_maker *maker, const struct codebook *codebook,
                                         const struct replica_view *view, struct duplicate_facts **facts_out);
void duplicate_facts_free(struct duplicate_facts **facts);

/* Bytes that they take. */
size_t duplicate_facts_bytes(const struct duplicate_facts *facts);

/* A hash under the key of the maker. */
uint64_t duplicate_hash(const struct duplicate_maker *maker, char what, struct span bytes);

/* The parts of one name, each once for each reading that it is in; at most `room` are written. Gives how many. */
size_t duplicate_parts(struct duplicate_maker *maker, struct span name, struct duplicate_part *parts_out,
                       size_t room);

/* --- scores --- */

struct duplicate_score {
    int points; /* of all reasons together, but at least 0: at most DUPLICATE_POINTS_MAX */
    enum duplicate_rule reasons[DUPLICATE_REASONS_MAX];
    size_t reason_count;
    /* Of the names that matched best: how its parts sound. */
    uint64_t sounds[8];
    size_t sound_count;
};

/* A person, and the cases that name it. */
struct duplicate_side {
    const struct duplicate_facts *facts;
    const struct duplicate_facts *const *cases;
    size_t case_count;
};

void duplicate_score_persons(const struct duplicate_side *a, const struct duplicate_side *b,
                             struct duplicate_score *out);

/* The same in two steps: what the persons say themselves, to which their cases may add DUPLICATE_CASES_POINTS at most; and their cases. */
enum { DUPLICATE_CASES_POINTS = 20 };
void duplicate_score_alone(const struct duplicate_facts *a, const struct duplicate_facts *b,
                           struct duplicate_score *out);
void duplicate_score_with_cases(const struct duplicate_side *a, const struct duplicate_side *b,
                                struct duplicate_score *score);

/* Whether two cases name one person. */
enum duplicate_persons {
    PERSONS_UNKNOWN, /* one of them names nobody */
    PERSONS_OTHER,
    PERSONS_ALIKE, /* two that may be one */
    PERSONS_ONE,
};

void duplicate_score_cases(const struct duplicate_facts *a, const struct duplicate_facts *b,
                           enum duplicate_persons persons, struct duplicate_score *out);

/* --- keys --- */

/* Called for each key; the same one may come again. */
typedef void duplicate_key(void *self, uint64_t key);

/* Any two persons whose names make a pair of the threshold have a key in common; and any two cases that reach it although no
 * person is alike. */
void duplicate_keys(const struct duplicate_maker *maker, const struct duplicate_side *side,
                    duplicate_key *each, void *self);
