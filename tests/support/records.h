/* records.h - the merge over real tables in memory, fed with the entries of a model.
 *
 * The environment lies on a tmpfs. The codebook is made for tests: what a field is
 * follows from its number, as model.h says, and 5 is for what is listed and indexed.
 *
 *     own fields   1 kind   10 to 14 by policy   15 listed and indexed code   16 L3
 *     collection 40, L1     20 to 24 by policy   25 listed and indexed code   26 L3
 *     unknown to it         field 95, collection 77
 */
#pragma once

#include "tests/support/model.h"
#include "tests/support/world.h"

#include "store/record.h"

enum { RECORDS_COLLECTION = 40, RECORDS_COLLECTION_UNKNOWN = 77, RECORDS_FIELD_UNKNOWN = 95 };

struct records {
    struct test_world world;
    char path[64];
    struct table_env *env;
    struct table_txn *txn;
    struct record_turn *turn;
    struct record_source source;
    struct arena arena; /* changes of the present turn, and of views */
    const struct model_entry *const *entries;
    size_t entry_count;
    const struct model_entry *away; /* an entry that does not count */
    size_t opened;                  /* entries that were opened again */
    enum record_half half;
};

extern const struct codebook records_codebook;

void records_open(struct records *records, const struct model_entry *const *entries, size_t entry_count);
void records_close(struct records *records);

/* A transaction and a turn. */
void records_begin(struct records *records);
enum err records_end(struct records *records);
void records_merge(struct records *records, const struct model_entry *entry);

/* In a transaction. */
void records_commit(struct records *records);
void records_read(struct records *records);
void records_done(struct records *records);

struct ident records_compartment(void);
struct ident records_id(uint32_t record);
uint32_t records_no(struct records *records, uint32_t record);

/* The change of a model's entry, in `arena`. */
void records_change(const struct model_entry *entry, struct arena *arena, struct signed_change *out);

/* The text that model_view gives of the same view; checks on the way that summary, conflicts and index say
 * what the view says. */
void records_view(struct records *records, uint32_t record, struct model_text *out);

/* Every row of every derived table but `rec` and `recno`, opened. */
void records_rows(struct records *records, struct buf *out);
