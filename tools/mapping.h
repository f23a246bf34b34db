/* mapping.h - which column of another system's file goes to which field.
 *
 *     source = "uwazi"
 *     key = { "id" }
 *     separator = "|"
 *     column "Country" { field = "country_of_act" map = "countries" }
 *     column "act1_type" { field = "act[1].type_of_act" }
 *     constant "transnational" { value = "no" }
 *     map "countries" { values = { "Kenya=KEN", "Uganda=UGA" } }
 *     person "victim" { column "Name" { field = "name.text" } }
 *
 * Read with libconfuse; what is unknown or wrong is refused with the file and the line. Whether a field exists is for the codebook
 * of the node to say: import_row.h. tools/mappings/ has those that come with the program, and all options.
 */
#pragma once

#include "node/config.h"

enum {
    MAPPING_BYTES_MAX = 1 << 20,
    MAPPING_COLUMNS_MAX = 2000, /* all together */
    MAPPING_PERSONS_MAX = 32,
    MAPPING_KEYS_MAX = 8,
};

/* How a source writes dates. */
enum mapping_date {
    MAPPING_DATE_EDTF, /* as the codebook does: 2019-03-14, 2019-03~, 2019-03/2019-05 */
    MAPPING_DATE_DMY,  /* 14/03/2019, also with . or - */
    MAPPING_DATE_MDY,
    MAPPING_DATE_YMD,     /* 2019/03/14 */
    MAPPING_DATE_UNIX,    /* seconds since 1970 */
    MAPPING_DATE_DATETIME /* 2019-03-14T10:00:00...: the day of it */
};

struct mapping_pair {
    char *theirs;
    char *ours;
};

struct mapping_map {
    char *name;
    struct mapping_pair *pairs; /* ascending by `theirs` */
    size_t count;
    char *other; /* what all else becomes; "": it is refused */
};

struct mapping_column {
    char *name;
    char *field;                   /* "title", "narrative.text", "act[1].type_of_act" */
    const struct mapping_map *map; /* NULL: as it is */
    char *separator;               /* between several values of a cell; "": one value */
    enum mapping_date date;
    bool optional; /* the file need not have it */
    char *when;    /* only a cell that says this counts; "": any that is not empty */
    char *value;   /* which stands for this; "": for itself */
    int line;
};

struct mapping_constant {
    char *field;
    char *value;
    int line;
};

/* What one record of a row is made of: the first is the row's own, the others are persons that it names. */
struct mapping_record {
    char *title; /* "": the row's own */
    struct mapping_column *columns;
    size_t column_count;
    struct mapping_constant *constants;
    size_t constant_count;
    char *keys[MAPPING_KEYS_MAX]; /* columns that make its key; of a person none: the row's, and its title */
    size_t key_count;
    char *part; /* of a person: in the case */
    int line;
};

/* A second file, several rows of which belong to one row of the first: each makes an element. */
struct mapping_repeat {
    char *parent; /* its column that names the row; NULL: there is no second file */
    char *index;  /* the column of the first file that is named */
    struct mapping_record elements;
};

struct mapping {
    char *name; /* of the file, or the ready one */
    char *source;
    char *kind;
    char *office;
    char delimiter; /* between cells */
    bool names;     /* a column that is not named here is called as its field */
    bool labels;    /* and NAME_label says the same as NAME, in words: it means nothing */
    bool guarded;   /* an apostrophe before what a spreadsheet would run is no part of the cell */
    bool
        escaped; /* a backslash before a separator, or a backslash, says that this is part of the value: several.h */
    char *separator;
    enum mapping_date date;
    char **ignored; /* columns that mean nothing to us */
    size_t ignored_count;
    struct mapping_map *maps;
    size_t map_count;
    struct mapping_record records[1 + MAPPING_PERSONS_MAX];
    size_t record_count; /* at least 1 */
    struct mapping_repeat repeat;
};

/* Read the text of a mapping; `name` is what faults call it. ERR_INVALID: `fault_out` says where and what. ERR_MEMORY. Free with
 * mapping_free, whatever came of it. */
MUST_CHECK enum err mapping_parse(struct mapping *mapping_out, const char *name, struct span text,
                                  struct config_fault *fault_out);
void mapping_free(struct mapping *mapping);

/* A mapping that comes with the program: "plain", "uwazi", "kobo". Empty: there is none of this name. Lent for good. */
struct span mapping_ready(const char *name);

/* Their names, by `at` from 0; NULL: no more. */
const char *mapping_ready_name(size_t at);

/* What a map makes of one value; NULL: it has none for it. Lent. */
const char *mapping_translate(const struct mapping_map *map, const char *theirs);

/* What a date of the source is in ours, in `out`. False: it is not of that form. Whether there is such a day the node says. */
enum { MAPPING_DATE_BYTES = 32 };
MUST_CHECK bool mapping_date_read(enum mapping_date form, const char *text, char out[MAPPING_DATE_BYTES]);

/* How such dates are written, for people. */
const char *mapping_date_words(enum mapping_date form);
