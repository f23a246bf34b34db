/* codebook_labels.h - the lists that stand outside of the codebook, and labels in other languages: `vigil codebook labels`. */
#pragma once

#include "node/labels.h"
#include "tools/command.h"

/* Print a list of codes with their labels, as comma-separated values or with --json one object a line. */
enum exit_status codebook_export_list(struct command *command, enum labels_list list);

/* How many labels of each list there are in each language; with a language, a template of its catalogue for msgfmt, with
 * what the catalogue has already. */
enum exit_status codebook_labels(struct command *command);
