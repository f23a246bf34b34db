/* record.h - the merge in tables: what a record holds now, and how it came to that.
 *
 *     opened entries --> record_merge --> turn --> record_turn_end --+--> live, sup   what counts
 *     of one turn                       (memory)   a record at a     +--> sum, conf   lists and inbox
 *                                                  time, once        +--> idx, token  coded index
 *
 * A record is (compartment, record_id): the halves of a case in the case and the protected
 * compartment share the id and nothing else. An op is applied at once, whether or not the
 * ops it names are here: names wait in `sup`. Everything written here is derived and can be
 * rebuilt from the journal, row by row the same, whatever the order in which entries came.
 *
 *     rec     hash of (compartment, record_id)          -> record_no
 *     recno   record_no                                 -> compartment, record_id
 *     cell    record_no | rops | ~log_no | ~seq                -> nothing: the record's entries
 *             record_no | live | target | dot | log_no         -> removed?, hash of the value
 *             record_no | sup  | named dot | log_no | seq | op -> removal?, target
 *     sum     record_no                                 -> summary
 *     conf    record_no                                 -> open conflicts
 *
 * A record with an element of COLLECTION_RESTRICTION is *restricted*: until that is removed it shows its kind, its number and its
 * restrictions, and nothing else of it is in any view, list, count or index.
 *
 * log_no and seq are in the keys because dots are short: an author who forges two ops with
 * one dot still gets two rows, and whoever names the dot replaces both.
 */
#pragma once

#include "store/cell.h"
#include "store/index.h"

/* Where merging and views get what is not in their tables. */
struct record_source {
    void *self;
    /* Open a data entry that was merged before: the change and all it refers to live in `arena`.
     * ERR_ABSENT: it does not count (held, erased, not yet readable). Any other error ends the turn. */
    enum err (*open)(void *self, uint32_t log_no, uint64_t seq, struct arena *arena,
                     struct signed_change *out);
    /* Which half of its records a compartment holds. */
    enum record_half (*half)(void *self, const struct ident *compartment);
};

/* --- names --- */

/* The number of a record. ERR_ABSENT: no entry of it was merged here. ERR_CORRUPT and others as table_get. */
MUST_CHECK enum err record_find(struct table_txn *txn, const struct ident *compartment,
                                const struct ident *record_id, uint32_t *record_no_out);

/* The same, made if it is not there. */
MUST_CHECK enum err record_intern(struct table_txn *txn, const struct ident *compartment,
                                  const struct ident *record_id, uint32_t *record_no_out);

/* As record_find, for who tells people: ERR_CORRUPT too where its row may be hidden by one that was damaged. */
MUST_CHECK enum err record_look_up(struct table_txn *txn, const struct ident *compartment,
                                   const struct ident *record_id, uint32_t *record_no_out);

/* From the number to the record. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err record_name(struct table_txn *txn, uint32_t record_no, struct ident *compartment_out,
                                struct ident *record_id_out);

/* The highest number of a record that is here, 0: none is. Numbers below it may be of nobody: such a record was erased. */
uint32_t record_last(struct table_txn *txn);

/* The record of a compartment whose id starts so: one walk over all names. ERR_ABSENT. */
MUST_CHECK enum err record_find_prefix(struct table_txn *txn, const struct ident *compartment,
                                       const uint8_t prefix[8], struct ident *record_id_out);

/* --- merging --- */

struct record_turn;

/* Memory for turns, one at a time; NULL: none. */
struct record_turn *record_turn_new(void);
void record_turn_free(struct record_turn **turn);

/* Begin: until record_turn_end all of these belong to the turn. The codebook is the one in force. */
void record_turn_begin(struct record_turn *turn, struct table_txn *txn, const struct codebook *codebook,
                       const struct record_source *source);

/* Merge an opened entry. It, its ops and values must stay until record_turn_end, which does the work.
 * An entry that was merged before changes nothing. ERR_MEMORY, ERR_CORRUPT, or the transaction's error. */
MUST_CHECK enum err record_merge(struct record_turn *turn, const struct ident *compartment,
                                 const struct ident *record_id, const struct signed_change *entry,
                                 uint32_t *record_no_out);

/* Remember an entry of the record that does not count now, so that a rebuild finds it. */
MUST_CHECK enum err record_note(struct record_turn *turn, const struct ident *compartment,
                                const struct ident *record_id, uint32_t log_no, uint64_t seq,
                                uint32_t *record_no_out);

/* Make everything of the record anew from its entries, as the source now gives them: after a change of
 * standing or of the codebook. ERR_ABSENT: there is no such record. */
MUST_CHECK enum err record_rebuild(struct record_turn *turn, uint32_t record_no);

/* Remove everything derived of the record, its place in the index and its list of entries: it was erased. Rows that
 * do not verify go too. Not in a turn that has merged into the same record. ERR_ABSENT: nothing of it is here. */
MUST_CHECK enum err record_forget(struct record_turn *turn, const struct ident *compartment,
                                  const struct ident *record_id);

/* How many records the turn has touched so far: each takes a few pages of memory when it is visited. */
size_t record_turn_touched(const struct record_turn *turn);

/* Visit each touched record once: rows, summary, conflicts, index. Whatever it gives, the turn is over and
 * its memory free for the next; unless it gives ERR_OK the transaction must be aborted. */
MUST_CHECK enum err record_turn_end(struct record_turn *turn);

/* Give the turn up: nothing more is written. */
void record_turn_drop(struct record_turn *turn);

/* Remove all derived rows of all records, and their numbers: before `vigild rebuild` merges the journal anew. */
void record_clear_all(struct table_txn *txn);

/* --- views --- */

struct record_target {
    struct target target;
    const struct codebook_field *field; /* NULL: an element itself, or unknown here */
    const struct live *values; /* every live value, the pick first, then descending by cell_compare */
    size_t value_count;
    const struct span *shown; /* by the policy in force; see cell_show */
    size_t shown_count;
    bool conflict;  /* more than one distinct value */
    bool misplaced; /* the codebook puts it into the other half */
    bool exposed;   /* misplaced, and it identifies a person: L3 outside of the protected half */
    bool newer;     /* field, collection or op code unknown here: needs a newer version */
};

struct record_element {
    uint32_t collection;
    uint8_t element[ELEMENT_ID_BYTES];
    enum element_state state;
    size_t first; /* its targets within record_view.targets: the element itself first, if it was added here */
    size_t count;
};

struct record_view {
    uint32_t record_no;
    struct ident compartment;
    struct ident record_id;
    enum record_half half;
    uint32_t kind;        /* 0: not known in this half */
    uint64_t created_hlc; /* as claimed: the lowest and the highest of its merged entries */
    uint64_t updated_hlc;
    const struct record_target *targets; /* ascending: own fields, then element by element */
    size_t target_count;
    const struct record_element *elements; /* ascending; absent ones are not listed */
    size_t element_count;
    size_t conflict_count; /* as many as record_conflicts_read gives */
    bool newer;            /* something in it needs a newer version */
    bool restricted;       /* only its kind, its number and its restrictions are shown */
};

/* Read a record whole; all of it lives in `arena`. ERR_ABSENT: no such record. ERR_CORRUPT, ERR_MEMORY,
 * or what the source gave. */
MUST_CHECK enum err record_view_read(struct table_txn *txn, const struct codebook *codebook,
                                     const struct record_source *source, uint32_t record_no,
                                     struct arena *arena, struct record_view *view_out);

/* The same of a restricted record too, whole: for a rule that must know what was said, and shows none of it to anybody. */
MUST_CHECK enum err record_view_read_in_spite(struct table_txn *txn, const struct codebook *codebook,
                                              const struct record_source *source, uint32_t record_no,
                                              struct arena *arena, struct record_view *view_out);

/* The dots of what is live at a target, or in its whole element whether that is absent or not: all that a save must name,
 * with no entry opened. At most `room` are given in `dots_out`; *count_out is how many there are. *conflict_out: the
 * target itself holds more than one distinct value. ERR_CORRUPT. */
MUST_CHECK enum err record_dots_read(struct table_txn *txn, const struct codebook *codebook,
                                     uint32_t record_no, const struct target *target, bool whole_element,
                                     struct dot *dots_out, size_t room, size_t *count_out,
                                     bool *conflict_out);

/* A record in a list: from its summary alone, no entry opened. */
struct record_item {
    struct target target;
    const struct codebook_field *field; /* NULL if the codebook no longer has it */
    const struct span *shown;           /* CBOR, the pick first */
    size_t shown_count;
    bool conflict;
};

struct record_summary {
    uint32_t record_no;
    struct ident compartment;
    struct ident record_id;
    uint32_t kind;
    uint64_t created_hlc;
    uint64_t updated_hlc;
    size_t conflict_count;
    bool restricted;                 /* then its kind and its number are its only items */
    const struct record_item *items; /* listed and indexed fields, ascending by target */
    size_t item_count;
};

/* ERR_ABSENT: nothing of the record was merged. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err record_summary_read(struct table_txn *txn, const struct codebook *codebook,
                                        uint32_t record_no, struct arena *arena,
                                        struct record_summary *summary_out);

/* Does a restriction stand in this record? ERR_ABSENT: nothing of the record was merged. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err record_is_restricted(struct table_txn *txn, uint32_t record_no, bool *restricted_out);

enum conflict_how {
    CONFLICT_VALUES = 1, /* a register with several values */
    CONFLICT_ELEMENT,    /* an element that was edited while it was removed */
    CONFLICT_MISPLACED,  /* a value in the half where the codebook does not put it */
};

struct record_conflict {
    struct target target;
    enum conflict_how how;
    uint64_t since_hlc; /* the latest of the values that take part, as claimed */
};

/* The open conflicts of a record, ascending by target; none, or restricted: count 0. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err record_conflicts_read(struct table_txn *txn, uint32_t record_no, struct arena *arena,
                                          const struct record_conflict **conflicts_out, size_t *count_out);

/* The next record with an open conflict whose number is above `after` (0: the first); false: none. */
bool record_conflict_next(struct table_txn *txn, uint32_t after, uint32_t *record_no_out);

/* How many conflicts are open in a compartment. */
MUST_CHECK enum err record_conflict_count(struct table_txn *txn, const struct ident *compartment,
                                          uint64_t *count_out);

/* The entries of a record, ascending by log_no and seq, whether they count or not; the source says. */
struct record_place {
    uint32_t log_no;
    uint64_t seq;
};

MUST_CHECK enum err record_history(struct table_txn *txn, uint32_t record_no, struct arena *arena,
                                   const struct record_place **places_out, size_t *count_out);

/* Where a record ends: of each branch of a log that has entries of it the last, descending by log_no; at most `room` are given, one
 * seek each however long the history is. ERR_CORRUPT, or the transaction's error. */
MUST_CHECK enum err record_ends(struct table_txn *txn, uint32_t record_no, struct record_place *ends_out,
                                size_t room, size_t *count_out);
