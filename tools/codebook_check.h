/* codebook_check.h - a newer codebook before the roots sign it: `vigil codebook check` and `propose`. */
#pragma once

#include "tools/command.h"

/* Hold a whole codebook, as --json codebook show prints it, against the one in force. STATUS_FINDINGS: it may not follow. */
enum exit_status codebook_check(struct command *command);

/* Put what a file adds into the codebook in force, with numbers that were never used and the next version, check it, and write
 * the whole to a new file, for vigil-org codebook. */
enum exit_status codebook_propose(struct command *command);
