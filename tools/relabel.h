/* relabel.h - the labels in what a node answers, in the language that somebody reads.
 *
 * The node speaks English and codes. Here the "label" that stands beside each name or code is replaced; names and codes stay.
 */
#pragma once

#include "node/labels.h"

/* How many labels there are, and how many of them in the language itself. */
struct relabelled {
    size_t all;
    size_t own;
};

/* Of codebook.show: kinds, collections, fields, vocabularies and their values. Each gets a "label_language" too, so that what was
 * translated is not taken for a codebook that somebody edited. */
struct relabelled relabel_codebook(const struct labels *labels, json_t *codebook);

/* Call `see` for each label of codebook.show, as labels_of takes it. */
typedef void relabel_see(void *self, const char *what, const char *name, json_t *part);
void relabel_walk(json_t *codebook, relabel_see *see, void *self);

/* Of a record as record.show and record.export give it: its fields and elements, and their codes. */
void relabel_record(struct labels *labels, json_t *record);

/* Of the "tables" of stats.table. */
void relabel_tables(struct labels *labels, json_t *tables);
