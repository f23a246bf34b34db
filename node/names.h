/* names.h - what people call a record: its number, its id, or the beginning of one.
 *
 *     KEN-2026-0042        office, year, counter: a display name and never an identity
 *     3f09a1c2b1...        record_id, or 6 digits and more of it
 *
 * Kept in memory, filled when the first name is asked for and caught up after that, so
 * that a node which nobody asks pays nothing. The record itself is the authority: a number may be
 * changed, or given twice by two offices that were apart; then the name is ambiguous.
 */
#pragma once

#include "store/record.h"
#include "sync/roster.h"

enum { NAMES_NUMBER_BYTES = 40 };

struct names;

/* A record that has a name. */
struct named {
    uint32_t record_no; /* of its case half; 0: made in this turn, and not merged yet */
    struct ident compartment;
    struct ident record_id;
    char number[NAMES_NUMBER_BYTES]; /* "": none */
};

/* NULL: no memory. */
struct names *names_new(void);
void names_free(struct names **names);

/* What names are looked up in: a transaction that reads, and what is in force. */
struct names_source {
    struct table_txn *txn;
    const struct codebook *codebook;
    const struct roster *roster;
};

/* Find by what somebody typed. ERR_ABSENT: nothing is called so. ERR_CONFLICT: several are. ERR_INVALID: it is
 * neither number nor id. ERR_MEMORY, and errors of the tables. */
MUST_CHECK enum err names_find(struct names *names, const struct names_source *source, const char *text,
                               struct named *named_out);

/* The next free number of an office and year, "KEN-2026-0042": above all that are here and all that names_add was told of, whatever
 * was erased since. Errors as names_find. */
MUST_CHECK enum err names_next_number(struct names *names, const struct names_source *source,
                                      const char *office, unsigned year, char number_out[NAMES_NUMBER_BYTES]);

/* A record that was made in this turn, whose transaction `source` has: its number is not given again. Without memory for it, it is
 * found once the turn is over. */
void names_add(struct names *names, const struct names_source *source, const struct named *named);

/* The turn is over, and what it made is in the tables, or nowhere. */
void names_turn_ended(struct names *names);

/* Forget everything: record numbers were given anew. */
void names_clear(struct names *names);
