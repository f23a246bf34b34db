/* export_table.h - records as tables: one for each kind, one for each of its collections.
 *
 *     case.csv      id, number, office ... status, status_label ... country_of_act ... conflicts
 *     case.act.csv  record, number, element, act.type_of_act, act.type_of_act_label ... conflicts
 *     dictionary    table, column, label, type, vocabulary, code, code_label
 *     about         what was exported, when, from where, and what was left out
 *
 * What a field shows stands in its cell, several values of a set with "|" between them, so that they can be read again (several.h); all that stand against each other are in the
 * column `conflicts`. A coded field has a second column for its label.
 */
#pragma once

#include "tools/sheet.h"

#include <jansson.h>

struct tables;

/* Begin the tables of `kinds` (an array of names) by the codebook as codebook.show gives it; fields above `level` ("L2") have no
 * column. `sheets` is lent. False, and `fault_out`. */
MUST_CHECK bool tables_begin(struct tables **tables_out, struct sheets *sheets, const json_t *codebook,
                             const json_t *kinds, const char *level, struct client_fault *fault_out);

/* Append one record, as record.export gives it, of any of the kinds. */
MUST_CHECK bool tables_add(struct tables *tables, const json_t *record, struct client_fault *fault_out);

/* Write the dictionary, and what `about` (an array of pairs of texts) says. */
MUST_CHECK bool tables_end(struct tables *tables, const json_t *about, struct client_fault *fault_out);

/* NULL does nothing. */
void tables_free(struct tables **tables);
