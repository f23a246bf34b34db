/* duplicate.h - records that may be of one person, or of one case; and what people said of them.
 *
 *     records --> facts --> keys --> pairs that reach the threshold     duplicate_score.h says why
 *                                        |
 *     A says: same as B, or not  --------+--> candidate, linked, rejected, disputed
 *
 * The index is in memory and off the write path, like that of finding.h: it holds what this node may read and nothing else; of
 * a restricted record nothing, and what was erased goes from it with the place that says so. It holds no name: hashes of
 * how the parts of names sound. A person with a name or two takes about 520 bytes, its pairs among them (16 each); more pairs than
 * DUPLICATE_PAIRS_MAX are not kept, but only those with most points: duplicate_floor says from where on.
 *
 * Linking moves nothing. A record says of another that it is the same; records that are linked in a chain are one group.
 * Where somebody says of two records that they are one, and somebody else that they are two, both stand: the pair is
 * disputed, and not counted as one until somebody decides.
 */
#pragma once

#include "node/casework/duplicate_score.h"
#include "store/base/world.h"

enum { DUPLICATE_PAIRS_MAX = 2000000 };

struct duplicate;

/* NULL: no memory. */
struct duplicate *duplicate_new(const struct world *world);
void duplicate_free(struct duplicate **duplicate);

/* Do a slice of what is to be done: read records, then compare them. As finding_read. */
MUST_CHECK enum err duplicate_read(struct duplicate *duplicate, struct replica *replica, uint64_t now_ms);
uint64_t duplicate_left(const struct duplicate *duplicate, struct replica *replica);
uint64_t duplicate_due_ms(struct duplicate *duplicate, struct replica *replica, uint64_t now_ms);

/* Put a record in by its facts, in place of what it had; NULL: it is no person and no case, or nothing of it is to be seen. The facts are
 * taken, whatever it gives; they are of duplicate_maker_of, which is asked first. Pairs are there once duplicate_compare says that there is
 * no more. ERR_MEMORY. */
MUST_CHECK enum err duplicate_put(struct duplicate *duplicate, uint32_t record_no,
                                  const struct ident *record_id, struct duplicate_facts *facts);

/* Compare a slice of records that were put. *more_out: others are left. ERR_MEMORY. */
MUST_CHECK enum err duplicate_compare(struct duplicate *duplicate, bool *more_out);

/* What makes the facts of this index; NULL: none, since there is no data of ICU, or no memory. */
struct duplicate_maker *duplicate_maker_of(struct duplicate *duplicate);

enum duplicate_state {
    DUPLICATE_CANDIDATE, /* nobody has said anything */
    DUPLICATE_LINKED,    /* one says that it is the same as the other, or they are in one group */
    DUPLICATE_REJECTED,
    DUPLICATE_DISPUTED,
};

struct duplicate_pair {
    uint32_t a; /* record_no; a < b */
    uint32_t b;
    int points;
    enum duplicate_state state;
};

enum duplicate_kind { DUPLICATE_BOTH, DUPLICATE_PERSONS, DUPLICATE_CASES };

struct duplicate_query {
    uint32_t record_no; /* pairs of this record; 0: of all */
    enum duplicate_kind kind;
    bool all;   /* those that are linked, rejected or disputed too; else candidates and disputed ones */
    bool begun; /* those that stand behind `after` */
    struct duplicate_pair after;
};

/* The pairs, those with most points first, at most `room` of them. *count_out: how many are given; *left_out: how many stand
 * behind them. ERR_INVALID: there is no index. ERR_MEMORY. */
MUST_CHECK enum err duplicate_list(struct duplicate *duplicate, const struct duplicate_query *query,
                                   struct duplicate_pair *pairs_out, size_t room, size_t *count_out,
                                   uint64_t *left_out);

/* The reasons of a pair as it is now. False: one of the records is not in the index. */
bool duplicate_explain(struct duplicate *duplicate, uint32_t a, uint32_t b,
                       struct duplicate_score *score_out);

/* The id of a record that is in the index. False: it is not. */
bool duplicate_record(const struct duplicate *duplicate, uint32_t record_no, struct ident *record_id_out);

/* Keep at most so many pairs instead of DUPLICATE_PAIRS_MAX. */
void duplicate_limit(struct duplicate *duplicate, uint64_t pairs);

/* From how many points on all pairs are kept. */
int duplicate_floor(const struct duplicate *duplicate);

/* Records that are in it, and bytes that it takes. */
size_t duplicate_count(const struct duplicate *duplicate);
size_t duplicate_bytes(const struct duplicate *duplicate);

/* --- groups, by the coded index: always as the transaction is --- */

struct duplicate_groups;

/* Where records and their names are looked up. */
struct duplicate_source {
    struct table_txn *txn;
    const struct codebook *codebook;
    const struct roster *roster;
};

/* The group of one record, or (0) all groups. Of records that this node may not read, or that are restricted, nothing is said. ERR_MEMORY,
 * and errors of the tables. */
MUST_CHECK enum err duplicate_groups_read(const struct duplicate_source *source, uint32_t record_no,
                                          struct duplicate_groups **groups_out);
void duplicate_groups_free(struct duplicate_groups **groups);

/* Under which record this one is counted: of its group the one with the lowest record_id; itself, if it is in none. Of two records that
 * are linked, one alone is counted under itself: count those, and linked persons count once. */
uint32_t duplicate_group_of(const struct duplicate_groups *groups, uint32_t record_no);

/* Whether it is in a group, with others. */
bool duplicate_is_grouped(const struct duplicate_groups *groups, uint32_t record_no);

/* The members of all groups that were read, ascending by number: how many there are, and the n-th. */
size_t duplicate_member_count(const struct duplicate_groups *groups);
uint32_t duplicate_member(const struct duplicate_groups *groups, size_t n);
