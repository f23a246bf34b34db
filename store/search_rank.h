/*
 * How well a text answers a query, as a function of SQLite's FTS5.
 *
 * BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) with k1 = 1.2 and b = 0: a word counts the
 * more the fewer texts hold it, and each time that it comes again counts less. The length of a text counts for nothing: FTS5's own bm25()
 * reads it from a table for each hit, which was half of the time of a query that finds tens of thousands.
 */
#ifndef VIGIL_STORE_SEARCH_RANK_H
#define VIGIL_STORE_SEARCH_RANK_H

#include <stdbool.h>

#include <sqlite3.h>

/* What the function is called in SQL: its argument is the name of the table, its value below 0, and the lower the better. */
#define SEARCH_RANK "closeness"

/* Add it to a database. False: no memory. */
bool search_rank_add(fts5_api *fts5);

#endif
