/* sealing.h - the passphrase of a backup: asked for by the program that a person runs, and never told to the node.
 *
 *     person --passphrase--> vigil --public key, salt, work--> node
 *
 * What a passphrase seals to is a public key (store/stream.h): who asks for a backup works it out, and the node that writes
 * it gets that key.
 */
#pragma once

#include "node/ask.h"
#include "store/stream.h"

#include <jansson.h>

/* Ask for a new passphrase of `of`, "the backup NAME", measure what it may cost here unless `key_memory_mib` says so, and
 * work its recipient out. ERR_INVALID: it is empty, or too long. Errors as ask_passphrase; ERR_MEMORY. */
MUST_CHECK enum err sealing_ask(struct ask *ask, const char *of, unsigned long key_memory_mib,
                                struct stream_recipient *out);

/* It as the API takes it: {"salt","passes","memory","key"}. NULL: no memory. */
json_t *sealing_json(const struct stream_recipient *recipient);

/* The reverse. False: not one, or one that costs too little. */
MUST_CHECK bool sealing_of_json(const json_t *json, struct stream_recipient *out);
