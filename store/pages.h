/* pages.h - the rows of an LMDB file whose pages are damaged, read without LMDB.
 *
 *     newest meta --+-- list of free pages --> which pages are in use
 *                   +-- table of tables --> root --> branch --> leaf --> rows        reached: what LMDB would read
 *     every page in use that no way led to, or that is not as it must be ----> rows  wherever one may lie
 *
 * LMDB follows page numbers and offsets without a look; here none is trusted. Pages are read one by one into memory of our own, each
 * number is held against the size of the file and of its page, no page is read twice as part of a tree, and a sector that the disk does not
 * give counts as zero. What a page says only leads to places where a row may lie: whether one does, the caller tells by its tag.
 *
 * Rows are given in this order: those of pages that were reached or are in use and as they must be; those of damaged pages. Where such a page
 * lost the list of its rows every even place of it is tried, so that among them may be one that was replaced or deleted and whose bytes
 * were left. Such a row is not `current`. If the list of free pages cannot be read whole, or is at odds with the trees, all pages are
 * read, and only those that were reached give rows that are current.
 *
 * The form is that of mdb.c in LMDB 0.9 (MDB_page, MDB_node, MDB_db, MDB_meta), on a machine of the kind that wrote it.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum { PAGES_TABLES_MAX = 64 };

struct pages_row {
    size_t table; /* that the way to it led through; `table_count`: not known */
    bool current; /* false: it may have been replaced or deleted */
    struct span key;
    struct span value;
};

struct pages_options {
    int file;
    const char *const *tables; /* their names */
    size_t table_count;        /* at most PAGES_TABLES_MAX */
    void *self;
    /* A place where a row may lie; true if one does. All of it is lent for the call. */
    bool (*row)(void *self, const struct pages_row *row);
};

/* What was met. */
struct pages_sum {
    uint64_t pages;   /* of the file */
    uint64_t in_use;  /* of these; all of them if `free_known` is false */
    uint64_t damaged; /* of these: not as they must be, or not what they are pointed to as */
    uint64_t apart;   /* of these: as they must be, and no way led to them */
    bool meta_known;  /* one of the two first pages could be read */
    bool cut_short;   /* the file is shorter than it says */
    bool free_known;  /* the list of free pages is whole, and of the newest transaction */
    uint64_t places;  /* that were pointed to as rows */
    uint64_t rows;    /* that were given and were rows */
    uint64_t expected[PAGES_TABLES_MAX]; /* rows of each table, as the table of tables says */
    bool expected_known[PAGES_TABLES_MAX];
};

/* Read the file. ERR_CORRUPT: it has no page. ERR_IO: its size cannot be told. ERR_MEMORY. */
MUST_CHECK enum err pages_read(const struct pages_options *options, struct pages_sum *sum_out);
