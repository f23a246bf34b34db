/* ask.h - passphrases: from the terminal, or from a descriptor.
 *
 * A person types without echo, and a new one twice. A script hands over a descriptor
 * with one passphrase a line, in the order in which they are asked for. Nothing is
 * ever taken from argv or the environment.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

struct ask {
    int fd;         /* -1: ask at the terminal */
    size_t lines;   /* read from the descriptor so far */
    bool cancelled; /* the person stopped it */
};

/* Append the passphrase of `of`, "the node KEN-1" or "the key root-1"; `fresh` asks for a new one. Wipe it when done.
 * ERR_DENIED: there is no terminal, no line left, or it was cancelled. ERR_INVALID: longer than 1,024 bytes.
 * ERR_MEMORY. */
MUST_CHECK enum err ask_passphrase(struct ask *ask, const char *of, bool fresh, struct buf *passphrase_out);
