/* board.h - the standing views of DOMAIN (c.4), as data: what each reads, in which order, and what it shows.
 *
 *     name         found by                  in the order of            left out               shown
 *     actions      action.reply_due,         the reply that is due,     replied, closed        number, by_un, reply_due …
 *                  then action.by_un         overdue first
 *
 * A board of records is found by the coded index alone: by the months of a date, the earliest first, and by values of a code. What is
 * left out is told from summaries. Only the records of one page are opened. A column of level L3 is shown to who asks for names and may
 * read them. Another board of records is another row.
 */
#pragma once

#include "store/edtf.h"
#include "store/record.h"

enum board_source {
    BOARD_RECORDS,   /* as the other members say */
    BOARD_URGENT,    /* urgent.list */
    BOARD_CONFLICTS, /* conflict.list */
    BOARD_NODES,     /* devices, and how far each is */
    BOARD_READINESS  /* States, and how far their cases of the window are */
};

enum { BOARD_WHERE_MAX = 3, BOARD_COLUMNS_MAX = 13 };

/* A condition on what a summary shows: of the element that makes a row, or else of the record. */
struct board_where {
    const char *field;  /* NULL: no more conditions */
    bool is;            /* holds one of the values; else it holds none of them */
    const char *values; /* names of codes, separated by blanks; NULL: any value at all */
};

struct board_column {
    const char *name;  /* NULL: no more columns */
    const char *field; /* of the codebook; NULL: of the row itself, such as "office" and "days" */
    const char *label; /* NULL: the field's */
};

/* What "state" says of a row. */
struct board_words {
    const char *late;
    const char *not_late;
    const char *undated;
};

struct board {
    const char *name;
    const char *label;
    enum board_source source;
    const char *kind;
    const char *collection; /* each row is an element of it; NULL: a record */
    const char *
        newest; /* of the elements of a record only the one where this date is the latest; NULL: each is a row */
    const char *date; /* an indexed date; NULL: rows have none */
    bool undated_first;
    int late_days;      /* a row is late if its date is more than so many days ago */
    int ahead_days;     /* rows whose date is further ahead are left out; 0: none are */
    const char *by;     /* rows without a date: an indexed field … */
    const char *values; /* … and names of its codes, in this order */
    struct board_where where[BOARD_WHERE_MAX];
    const char *needs; /* a field that the record must hold, be it indexed or not; NULL: none */
    const char
        *replaces; /* a field of other elements of the record that may name the row's: then it is left out */
    struct board_words words;
    struct board_column columns[BOARD_COLUMNS_MAX];
};

/* All of them, in the order in which they are listed. */
const struct board *board_all(size_t *count_out);

/* NULL: there is none of this name. */
const struct board *board_find(const char *name);

/* Does the summary hold what the board asks for? `element`: NULL of a board of records. */
bool board_keeps(const struct board *board, const struct codebook *codebook,
                 const struct record_summary *summary, const uint8_t *element);

/* The element of which `board->newest` is the latest. NULL: the record has none. Lent by the summary. */
const uint8_t *board_newest(const struct board *board, const struct record_summary *summary);

/* What the summary shows at a field, of this element or, if `element` is NULL, of the record. NULL: nothing. */
const struct record_item *board_item(const struct record_summary *summary, const char *field,
                                     const uint8_t *element);

/* The date that it shows there; false: `field` is NULL, or it has none, or none that can be read. */
bool board_date(const struct record_summary *summary, const char *field, const uint8_t *element,
                struct edtf *date_out);
