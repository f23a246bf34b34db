/* statistics.h - the tables that headquarters needs: DOMAIN (c.2).
 *
 *     facts --> cases of the window that may be counted --> cubes: unit, up to 3 axes, and on each axis "all"
 *                                                             |
 *     what is shown <-- cells that give nobody away <---------+   one release: all tables together
 *
 * A table is some cubes, and a cube counts one unit: States, individuals, organisations, groups, acts, cases are never added up.
 * An individual who was met in two cases counts once in each cell that it is in, and once in the total, so cells of one line
 * may come to more than their total. Two tables that have a cell in common have one cell, with one number.
 *
 * A number below the threshold is not shown (0 is), nor what it could be told from: of each line (a total and its parts) in
 * which one number would be left out, a second is; then the whole release is solved as a system of equations, and more is left out until no
 * number that is left out has but one solution. All tables are one release, whichever of them somebody asks for. A cell left
 * out for another one's sake is above 0, so that the other may be one more or one less.
 *
 * Counted is what a report may count: cases that were included, named or not, or "counted only", and later those that were in an
 * earlier report and are on their way again. Drafts, what is left out, withdrawn or out of the way are not. Of the persons in them
 * only those are counted who agreed to it, by the rule of consent.h as of the day. Withheld are those of cases that were
 * left out for protection, and of counted cases those who did not agree; they are counted apart, and who refused to be counted
 * at all is in neither number, nor is anybody whose record is not here or hidden. A case counts whoever is in it.
 *
 * A count stub stands for one individual of whom nothing else is left, whatever became of the case: what it does not say is not
 * recorded.
 *
 * A case is of the window that it names, or of one that a follow-up of it names. It is a follow-up if it was in an earlier report or
 * belongs to another window, and new if not. A State is one alleged to be responsible; where it lies goes by UN M49.
 */
#pragma once

#include "node/casework/facts.h"

/* Of what the tables are and how they are counted: another number, other figures. */
enum { STATISTICS_RULES = 2, STATISTICS_THRESHOLD = 5, STATISTICS_AXES = 3 };

enum statistics_unit {
    UNIT_CASES = 1,
    UNIT_STATES,
    UNIT_INDIVIDUALS,
    UNIT_ORGANISATIONS,
    UNIT_GROUPS,
    UNIT_IN_GROUPS, /* persons that groups are said to have, at least */
    UNIT_UNSAID,    /* victims of whom it is not recorded, or not known here, what they count as */
    UNIT_ACTS,
    UNIT_PERPETRATORS,
    UNIT_COUNT
};

enum statistics_axis {
    AXIS_NONE = 0,
    AXIS_PHASE,
    AXIS_PLACE, /* levels: region, subregion, State */
    AXIS_UN_GROUP,
    AXIS_RECURRENCE, /* of States alone */
    AXIS_ACT,        /* levels: group, type */
    AXIS_STAGE,
    AXIS_ONLINE,
    AXIS_BASIS,
    AXIS_ROLE,
    AXIS_GENDER,
    AXIS_AGE,
    AXIS_SITUATION,
    AXIS_ANONYMITY,
    AXIS_CONSENT,
    AXIS_UN_ACTOR,
    AXIS_ACTOR_COUNT,
    AXIS_SIDE,
    AXIS_PERPETRATOR,
    AXIS_HOST,
    AXIS_STATE,
    AXIS_DEVELOPMENT,
    AXIS_VERIFICATION,
    AXIS_SOURCES,
    AXIS_CONFLICT,
    AXIS_REVIEW,
    AXIS_STANDING, /* what became of the cases of the window */
    AXIS_TO_OFFICE,
    AXIS_TO_ACTION,
    AXIS_TO_REPLY,
    AXIS_COUNT
};

/* Which cases a cube is about. */
enum statistics_base {
    BASE_COUNTED = 0,
    BASE_WINDOW,   /* all of the window, whatever may be said of them */
    BASE_WITHHELD, /* persons, and States that they are of */
    BASE_ASKED,    /* persons of counted cases, counted or withheld */
    BASE_TRANSNATIONAL,
    BASE_FOLLOWED, /* counted, with a follow-up in the window */
    BASE_COUNT
};

struct statistics_cube {
    const char *table; /* "T3" */
    const char *title;
    enum statistics_unit unit;
    enum statistics_base base;
    uint8_t axis_count;
    struct {
        uint8_t axis;  /* enum statistics_axis */
        uint8_t depth; /* levels of it */
    } axes[STATISTICS_AXES];
    bool share; /* parts of the total are of interest as such */
};

struct statistics_table {
    const char *name;
    const char *title;
    const char *note; /* what is not recorded, and how to read it */
};

/* The descriptions, in order. */
const struct statistics_table *statistics_tables(size_t *count_out);
const struct statistics_cube *statistics_cubes(size_t *count_out);
const char *statistics_unit_name(enum statistics_unit unit);
const char *statistics_unit_label(enum statistics_unit unit);
const char *statistics_axis_name(enum statistics_axis axis);
const char *statistics_axis_label(enum statistics_axis axis);

/* True if no window counts a case of this status, by its name: it is withheld, left out or out of the way, whatever it was before. */
bool statistics_leaves_out(const char *status);

struct statistics_options {
    const struct codebook *codebook;
    uint32_t window;    /* as facts name it; 0: all cases, of whichever */
    uint32_t as_of_day; /* what is late is late on this day */
    uint32_t threshold; /* numbers below it are not shown; 0 or 1: all are */
};

/* A value of an axis; number 0 is "all". */
struct statistics_slot {
    char name[40];
    char label[96];
    const char *
        list; /* whose code the name is: "regions", "countries", or a vocabulary, lent by the codebook; "": none */
    uint32_t value;  /* its code, country or M49 number */
    uint16_t parent; /* of which it is a part */
    uint8_t level;   /* 0: all; 1 to the depth of the axis */
};

struct statistics_cell {
    uint64_t count;
    bool hidden; /* not to be shown */
};

struct statistics;

/* Count everything. ERR_MEMORY. `facts` may change afterwards; the codebook must stay. */
MUST_CHECK enum err statistics_new(struct statistics **statistics_out, const struct facts *facts,
                                   const struct statistics_options *options);
void statistics_free(struct statistics **statistics);

/* The values of an axis of a cube, and one of them. */
size_t statistics_slot_count(const struct statistics *statistics, size_t cube, size_t axis);
const struct statistics_slot *statistics_slot(const struct statistics *statistics, size_t cube, size_t axis,
                                              size_t slot);

/* The cell of a cube at these slots, one for each of its axes. */
struct statistics_cell statistics_cell(const struct statistics *statistics, size_t cube,
                                       const uint16_t slots[STATISTICS_AXES]);

/* How many cells are not shown because of the threshold, and how many more for the sake of those. */
uint64_t statistics_small_count(const struct statistics *statistics);
uint64_t statistics_guarding_count(const struct statistics *statistics);

/* For those who check it: the lines of the release, each a total and its parts, as numbers of cells. A cell that two cubes have in
 * common has one number. */
struct statistics_line {
    uint32_t total;
    const uint32_t *parts;
    size_t part_count;
};
size_t statistics_line_count(const struct statistics *statistics);
struct statistics_line statistics_line(const struct statistics *statistics, size_t n);
size_t statistics_cell_count(const struct statistics *statistics);
struct statistics_cell statistics_cell_at(const struct statistics *statistics, size_t n);
