/* model.h - the merge by definition, as slowly as that: what record.h is held against.
 *
 * It keeps every entry and computes a view by asking, of each value ever added,
 * whether any op names it. It shares no function and no struct with store/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_SET = 1,
    MODEL_ADD = 2,
    MODEL_REMOVE = 3,
    MODEL_UNKNOWN = 9,
    MODEL_OPS_MAX = 8,
    MODEL_NAMES_MAX = 24,
    MODEL_NONE = -1000, /* no value */
    MODEL_NULL = -999,  /* null: a value that is never shown */
    MODEL_RECORDS_MAX = 64,
};

/* How the fields of the test's codebook are shown: by the last digit of their number. */
enum { SHOW_ALL = 0, SHOW_UNION = 1, SHOW_MAX = 2, SHOW_MIN = 3, SHOW_LATEST = 4 };

struct model_name {
    uint8_t log[6];
    uint64_t seq;
    uint32_t op;
    uint8_t tag[4];
};

struct model_op {
    uint32_t code;
    uint32_t collection; /* 0: a field of the record */
    uint32_t element;
    uint32_t field; /* 0: the element itself */
    int value;
    struct model_name names[MODEL_NAMES_MAX];
    size_t name_count;
};

struct model_entry {
    uint32_t branch; /* what a replica would call log_no */
    uint64_t seq;
    uint8_t log_id[32];
    uint8_t entry_id[32];
    uint8_t device_id[32];
    uint64_t hlc;
    uint32_t record;
    struct model_op ops[MODEL_OPS_MAX];
    size_t op_count;
};

struct model {
    const struct model_entry **entries; /* a set: each once */
    size_t count;
    size_t capacity;
};

void model_add(struct model *model, const struct model_entry *entry);
void model_free(struct model *model);

/* Text that says all of a record's view, the same for equal views. `out` grows by realloc. */
struct model_text {
    char *text;
    size_t size;
    size_t capacity;
};

void model_say(struct model_text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void model_view(const struct model *model, uint32_t record, struct model_text *out);

/* The live values of a target (field MODEL_ANY: an element with all its fields) as `seen` entries have
 * them: what an author names. Gives at most MODEL_NAMES_MAX. */
enum { MODEL_ANY = 0xffffffff };
size_t model_names(const struct model *model, const struct model_entry *const *seen, size_t seen_count,
                   const struct model_op *target, uint32_t record, struct model_name *names_out);
