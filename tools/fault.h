/* fault.h - what went wrong, in three lines, and the exit status that goes with it.
 *
 *     vigil: cannot change KEN-2026-0042               what
 *       why: no record is called KEN-2026-0042         why
 *       do:  vigil case list shows what is here        what to do
 *
 * With --json it is one object on stderr: {"code","message","hint"}. The codes are those of
 * err_code(), "usage", "unknown" (the node has no such call) and "stopped" (no node answers).
 */
#pragma once

#include "node/client.h"
#include "store/base/exit.h"

#include <stdbool.h>
#include <stdio.h>

/* Fill in a fault of ours. `hint` may be NULL; `message` is as for printf. Gives false, so that a
 * parser can end with it. */
bool fault_set(struct client_fault *fault, const char *code, const char *hint, const char *message, ...)
    __attribute__((format(printf, 4, 5)));

/* The exit status of a code; a code that we do not know is a plain failure. */
enum exit_status fault_status(const char *code);

/* Print three lines, or with `json` one object. Text is cleaned as by output_clean. */
void fault_print(FILE *to, const char *what, const struct client_fault *because, bool json);
