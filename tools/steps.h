/* steps.h - what takes the node long: asked for once, then a bar while it is done, and how it ended.
 *
 *     [###############               ] writing      on stderr, if that is a terminal
 */
#pragma once

#include "tools/command.h"

#include <limits.h>

/* The absolute path of what was typed: the node knows nothing of the folder that we are in. False, and `fault`. */
MUST_CHECK bool steps_path(const char *typed, char out[PATH_MAX], struct client_fault *fault);

/* Ask (the reference to `request` is taken) and wait for the last event, {"stage":"done"}, which the caller then owns. False, and
 * `fault`: it failed. */
MUST_CHECK bool steps_wait(struct command *command, json_t *request, json_t **done_out,
                           struct client_fault *fault);
