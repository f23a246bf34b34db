/* statistics_state.h - what the files of statistics share; nobody else includes it.
 *
 *     statistics_tables.c  which tables there are: cubes, units, axes and their words
 *     statistics_axes.c    the values of each axis, for this codebook and these countries
 *     statistics_case.c    one case, taken apart into acts, victims, perpetrators
 *     statistics_sets.c    what one who is counted is on each axis
 *     statistics_count.c   who is counted, and in which cells
 *     statistics.c         one release of all cells: what small numbers hide
 */
#pragma once

#include "node/casework/disclosure.h"
#include "node/casework/statistics.h"
#include "store/region.h"

enum {
    SLOTS_MAX = 2000, /* of an axis: cells are named by 11 bits of each, and axes by 5 */
    SET_MAX = 96,     /* values of one axis that one subject has, with what they are parts of */
    ACTS_MAX = 128,   /* of one case; so are its perpetrators and victims */
    LIST_MAX = 32,    /* values of one field */
    LEVELS_MAX = 3,
    CUBE_COUNT = 45,
};

/* An axis whose values are those of a field's vocabulary, or of a list. */
struct axis_text {
    const char *name;
    const char *label;
    enum fact_what what; /* whose codes they are; FACT_NONE: `values` has them, numbered from 1 */
    const char *values[8][2];
    bool whole; /* none is "not recorded" */
};

/* Values of axes that are listed in words, beside those of region.h. */
enum { UN_GROUP_NONE = REGION_GROUP_WESTERN_EUROPEAN + 1 };
enum { ANONYMITY_ASKED = 1, ANONYMITY_NAMED, ANONYMITY_COUNTED_ONLY };
enum { AGREED_COUNTED = 1, AGREED_NOT };
enum { RECURS = 1 };

/* Lent for ever. */
const struct axis_text *statistics_axis_text(enum statistics_axis axis);

/* --- values of axes --- */

struct axis {
    struct statistics_slot *slots; /* level by level, "all" first */
    uint32_t count;
    uint32_t room;
    uint32_t ends[LEVELS_MAX + 1]; /* by depth: slots of that and of higher levels */
    uint16_t unsaid;               /* the slot of what is not recorded; 0: there is none */
    uint16_t *lookup;              /* by value of the lowest level, or by country: its slot */
    uint32_t lookup_count;
};

/* Fill in all axes: the same for every window, so countries are those of all cases. False: no memory. */
MUST_CHECK bool statistics_make_axes(struct axis axes[AXIS_COUNT], const struct facts *facts,
                                     const struct codebook *codebook);

/* The slot of a value of the lowest level; that of what is not recorded, where the axis has no such value. */
uint16_t statistics_axis_find(const struct axis *axis, uint32_t value);

/* The slot of a value of the highest level, likewise. */
uint16_t statistics_axis_find_group(const struct axis *axis, uint32_t value);

/* --- a case, taken apart --- */

struct act {
    uint32_t type;
    uint32_t stage;
    uint32_t day;
    bool online_said;
    bool online;
    uint32_t bases[LIST_MAX];
    size_t basis_count;
    uint32_t victims[LIST_MAX];
    size_t victim_count;
};

struct victim {
    uint32_t person;
    uint32_t part;
};

struct perpetrator {
    uint32_t type;
    uint32_t side;
};

struct parted {
    const struct fact_record *record;
    uint32_t status;
    uint32_t verification;
    bool transnational;
    uint32_t window;
    bool earlier;
    bool followed; /* a follow-up of it is of the window */
    size_t sources;
    uint32_t hosts[LIST_MAX];
    size_t host_count;
    uint32_t states[LIST_MAX];
    size_t state_count;
    uint32_t actors[LIST_MAX];
    size_t actor_count;
    uint32_t developments[LIST_MAX];
    size_t development_count;
    uint32_t next_review; /* the earliest */
    uint32_t first_act;
    uint32_t first_action;
    uint32_t first_reply;
    struct act acts[ACTS_MAX + 1]; /* one more is being read */
    size_t act_count;
    struct victim victims[ACTS_MAX];
    size_t victim_count;
    struct perpetrator perpetrators[ACTS_MAX];
    size_t perpetrator_count;
};

/* Read what the facts of a case say. `window`: whose follow-ups count as its own, 0: all; `same`: see same.h. What is above the
 * limits of this file is left out, as no case is. */
void statistics_part_case(struct parted *parted, const struct fact_record *record, uint32_t window,
                          const uint32_t *same);

/* --- what stands on the axes --- */

/* What stands on an axis for one subject: slots of every level, each once. */
struct set {
    uint64_t subject; /* it was made for; 0: none yet */
    size_t count;
    uint16_t slots[SET_MAX];
};

/* What a status says of counting: see the head of statistics.h. */
enum counts_as {
    STANDING_COUNTED = 1,
    STANDING_UNDER_WAY,
    STANDING_WITHHELD,
    STANDING_LEFT_OUT,
    STANDING_AWAY
};

/* Who or what is counted, in one case. */
struct subject {
    const struct statistics *statistics;
    const struct facts *facts;
    const struct statistics_options *options;
    uint8_t *agreed;      /* see agreed.h */
    struct parted parted; /* the case */
    enum counts_as standing;
    const struct act *act;                 /* NULL: it is no act that is counted */
    const struct perpetrator *perpetrator; /* likewise */
    uint32_t person;                       /* name; 0: it is no person */
    const struct fact_record *person_record;
    uint32_t state;                  /* country; 0: it is no State */
    const struct fact_record *stub;  /* NULL: it is no count stub */
    bool recurs[FACT_COUNTRIES + 1]; /* by country, of States alone */
    uint32_t associated;             /* the part of one who is near a victim */
};

/* Fill the set, which is empty, with what the subject is on an axis. */
void statistics_fill_set(const struct subject *subject, struct set *set, enum statistics_axis which);

/* The record of a person; NULL: it is not here. */
const struct fact_record *statistics_person(const struct facts *facts, uint32_t name);

/* True if it is one, and not only somebody near one. */
bool statistics_is_victim(const struct subject *subject, const struct victim *victim);

/* --- the release --- */

struct cube {
    const struct statistics_cube *description;
    uint32_t sizes[STATISTICS_AXES];
    uint32_t strides[STATISTICS_AXES];
    uint32_t first; /* of its cells within all local ones */
    uint32_t cell_count;
};

struct statistics {
    struct axis axes[AXIS_COUNT];
    struct cube cubes[CUBE_COUNT];
    uint32_t *cell_of; /* by local cell: its number in the release */
    struct disclosure disclosure;
    struct disclosure_line *lines;
    uint32_t *parts;
    uint64_t small;
    uint64_t guarding;
};

/* Count all cubes, whose axes and places are made: one number for each local cell. ERR_MEMORY. */
MUST_CHECK enum err statistics_count(const struct statistics *statistics, const struct facts *facts,
                                     const struct statistics_options *options, uint64_t *counts);
