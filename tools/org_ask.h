/* org_ask.h - passphrases of the ceremony's keys.
 */
#pragma once

#include "node/ask.h"

/* A ceremony_ask; `self` is a struct ask. ERR_ABSENT: an empty line for a key that exists, "not at hand". Errors as
 * ask_passphrase. */
enum err org_ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out);
