/* org_ask.h - passphrases of the ceremony: from the terminal, or from a descriptor.
 *
 * A person types without echo, and a new one twice. A script hands over a descriptor
 * with one passphrase a line, in the order in which keys are asked for. Nothing is
 * ever taken from argv or the environment.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

struct org_ask {
    int fd;         /* -1: ask at the terminal */
    size_t lines;   /* read from the descriptor so far */
    bool cancelled; /* the person stopped it */
};

/* A ceremony_ask; `self` is a struct org_ask. ERR_ABSENT: an empty line for a key that exists, "not at hand".
 * ERR_DENIED: there is no terminal, no line left, or it was cancelled. */
enum err org_ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out);
