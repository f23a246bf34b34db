/* salvage.h - what can still be read of an environment whose pages are damaged, in a file of its own.
 *
 *     data.mdb --pages.h--> a row may lie here --tag, seal--> it does --> data.mdb.new --synced, renamed--> data.mdb
 *
 * The tag or the seal of a row, which are over its table and its key, are the judge of whether it is one; no page is. Rows that LMDB would
 * have read go before rows that were found in a damaged page, where a row that was replaced or deleted may have been left. Of
 * several such with one key that one is taken that says more of its log, or that its entry was erased; else the one that was met first.
 * What had been deleted may so come back: whoever calls follows all erasures anew before anything is shown.
 */
#pragma once

#include "store/table.h"

struct salvage;

struct salvage_options {
    struct table_options table; /* `read_only` is not looked at */
    bool apply;                 /* write what is read, in the place of the file; false: look alone */
    bool leave[TABLE_COUNT];    /* tables of which nothing is taken: they are made anew */
    /* With `apply`, a row to be there afterwards, in TABLE_META. */
    struct span mark_key; /* empty: none */
    /* Gives the value of the mark, from what was read; lent until the next call. */
    struct span (*mark)(void *self, const struct salvage *salvage);
    void *self;
};

struct salvage {
    uint64_t pages;   /* of the file */
    uint64_t damaged; /* of these: not as they must be */
    uint64_t apart;   /* of these: as they must be, and nothing leads to them any more */
    bool cut_short;   /* the file is shorter than it says */
    bool sure;        /* which pages are in use is known: only from damaged ones may an old row have come */
    uint64_t taken;   /* rows */
    uint64_t
        doubtful; /* of these, rows that may be old: from damaged pages, or from any if it is not `sure` */
    uint64_t refused;             /* places that were pointed to as rows, and none verified there */
    uint64_t of[TABLE_COUNT];     /* rows that were taken of each table */
    uint64_t lost[TABLE_COUNT];   /* rows that there must have been beside these */
    bool lost_known[TABLE_COUNT]; /* false: nobody can tell */
};

/* Read, and with `apply` write. ERR_CORRUPT: no row of this environment is in that file, and nothing was changed. ERR_NEWER: a newer
 * program wrote it. Errors as table_env_open, and ERR_FULL: there is no room for both files. */
MUST_CHECK enum err salvage_run(const struct salvage_options *options, struct salvage *salvage_out);
