/* importing.h - what of an imported row is new to its record.
 *
 *     the row, as ops ------------------+
 *     the record as it is here ---------+--> the ops that are left, and what was kept as it is here
 *     marks of what came the last time -+
 *
 * A row of another system is known by a keyed hash of what its source calls it, and a record that was made of one says so: in
 * imported_from, with a mark for each value that came. A mark is no value: 8 bytes of a keyed hash, of which nothing can be
 * read. Whoever imports the row again can so tell what the source changed since from what somebody changed here, and
 * nothing that was written here is lost to a file. Pure: it reads what it is given.
 */
#pragma once

#include "store/base/arena.h"
#include "sync/replica.h"

/* Names of the codebook; a codebook without them knows no import. */
#define IMPORTING_COLLECTION "imported_from"

enum { IMPORTING_MARK_BYTES = 8 };

/* The secret of an organisation for hashes of rows: the same on each of its nodes. Wipe it. */
void importing_secret(struct key *secret_out, const struct replica_identity *identity);

/* What a row is known by: of its source, the kind of record that it makes, and its key there. All are text. */
void importing_row(struct ident *row_out, const struct key *secret, const char *source, const char *kind,
                   const char *key);

/* The id of an element that a row makes, from its place there ("act[1]"). */
void importing_element(uint8_t element_out[ELEMENT_ID_BYTES], const struct ident *row, const char *slot);

/* True if the codebook has imported_from for records of the kind. */
bool importing_fits(const struct codebook *codebook, uint32_t kind);

struct importing {
    const struct codebook *codebook;
    const struct key *secret;
    const struct replica_view *view; /* NULL: the record is new */
    uint32_t kind;
    struct ident row;
    const char *source;
};

/* What became of the ops of a row. All lives in the arena. */
struct imported {
    struct save_op *ops; /* what is to be saved, with what imported_from says; count 0: nothing is new */
    size_t count;
    struct target *kept; /* where the row says one thing, and somebody here another: it stays as it is here */
    size_t kept_count;
};

/* Leave of `ops` what the row has and the record has not:
 *
 *     the source did not change a value since          it stays as it is here, also if it was changed or removed here
 *     the source changed it, and nobody here           it is set
 *     both did                                         it stays as it is here, and is among `kept`
 *
 * Nothing is cleared or removed because a row no longer has it. ERR_LOCKED: the record has a half that cannot be read here, and the row
 * says something of it. ERR_INVALID: the codebook has no imported_from for the kind. ERR_MEMORY. */
MUST_CHECK enum err importing_compare(const struct importing *importing, const struct save_op *ops,
                                      size_t count, struct arena *arena, struct imported *imported_out);
