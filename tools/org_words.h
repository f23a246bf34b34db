/* org_words.h - what statements say, in words, for people who are to sign them.
 */
#pragma once

#include "sync/ceremony.h"

/* Print what the statement says, to whom, and who of the roots signed it. It is here. */
void words_statement(const struct ceremony *ceremony, const struct hash *stmt_id);

/* Print what a revocation, or (`extends`) an extension, of this key would say. `names_all`: each log and statement in a line. */
void words_cuts(const struct ceremony *ceremony, const struct ceremony_cuts *cuts,
                const struct frontier_file *frontier, bool extends);

/* Print every revocation that stands. */
void words_revocations(const struct roster *roster);

/* Print the roots in force: name, beginning of the key, whether the key file is here; and whom an erasure needs. */
void words_roots(const struct ceremony *ceremony);

/* "stolen" of an enum revoke_reason. */
const char *words_reason(uint32_t reason);
