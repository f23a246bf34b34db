/* usage.h - a command line that argp reads, and its mistakes told as all others are.
 *
 *     vigild run: nothing was done
 *       why: there is no option --passphrase-df: did you mean --passphrase-fd?
 *       do:  vigild run --help
 *
 * argp and getopt tell them in a form of their own, and end the process; so they are found here first, or caught.
 */
#pragma once

#include <argp.h>
#include <stdbool.h>

/* As argp_parse with no flags. argv[0] is what the command is called: "vigild run". A mistake is told on stderr and ends
 * the process with STATUS_USAGE; --help and its like are printed and end it with 0. Gives what argp_parse gives. */
int usage_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Tell a mistake: `why` it is one, and where to look. */
void usage_tell(const char *command, const char *why);

/* ": did you mean NAME?" in `out`, of the `count` names the nearest to what was typed; "" if none is near. */
void usage_guess(char *out, size_t size, const char *typed, const char *const *names, size_t count);
