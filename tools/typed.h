/* typed.h - values that were typed, before anything is made of them.
 *
 *     vigil record new --kind person pseudonym=Dove name.text=-
 *                                                            | asked for at the terminal,
 *                                                            | or a line of standard input
 *
 * Other users can see a command line while it runs, and the shell keeps it. So fields whose level is L3,
 * which say who somebody is, never take their value from there; the node's codebook says which they are.
 */
#pragma once

#include "tools/command.h"

/* Put what is read in the place of each value that is "-", in the order in which they were typed. `words`: words
 * after the first `skip` are NAME=VALUE too. False, and `fault_out`: a value of L3 on the command line, nothing to
 * read, or no codebook. */
MUST_CHECK bool typed_values(struct command *command, bool words, size_t skip,
                             struct client_fault *fault_out);

/* The same for --value, which is for `target`. */
MUST_CHECK bool typed_value_of(struct command *command, const char *target, struct client_fault *fault_out);

/* The codebook of the node, kept and lent by `command`; NULL, and `fault_out`: it was not to be had. */
const json_t *typed_codebook(struct command *command, struct client_fault *fault_out);

/* What people call a field or a collection; its name if the codebook has none. Lent. */
const char *typed_label(const json_t *codebook, const char *name);

/* One line that stands in no list of processes: asked for as `prompt` at a terminal, else the next of standard input, without its
 * newline. False, and `fault_out` with `hint`: there is none, it is blank, or it is longer than the room; `what` is "words", "name" and
 * so on. */
MUST_CHECK bool typed_line(const char *prompt, const char *what, const char *hint, char *line_out,
                           size_t room, struct client_fault *fault_out);

/* Put what --where, --month and --conflict say into `request`. False, and `fault_out`. */
MUST_CHECK bool typed_filter(struct command *command, json_t *request, struct client_fault *fault_out);
