/* workload.h - the work of eight offices on shared cases, the same every time.
 *
 *     seed --> updates (case, office, fields) --> ops with their preds --> entries --> chunks
 *
 * Eight offices write one log of data each, and one of keys, in one compartment; each save sees all
 * saves before it. The generator is that of the programs we are compared with: its JSON lines are theirs
 * to the byte. The fields have numbers and vocabularies, as those of casework have.
 */
#pragma once

#include "store/codebook.h"
#include "store/entry.h"

enum {
    WORKLOAD_OFFICES = 8,
    WORKLOAD_VALUES_MAX = 7, /* of one update */
    WORKLOAD_TEXT_BYTES_MAX = 320,
    WORKLOAD_SEED = 42,
    WORKLOAD_KIND = 1, /* FIELD_KIND of every record */
};

/* Fields, by number. */
enum workload_field {
    WORK_TITLE = 2,
    WORK_STATUS,
    WORK_PRIORITY,
    WORK_CATEGORY,
    WORK_ASSIGNEE,
    WORK_OPENED,
    WORK_LOCATION,
    WORK_NOTE,
    WORK_DUE,
    WORK_CONTACT,
    WORK_SUMMARY,
    WORK_FIELD_END
};

struct workload_value {
    enum workload_field field;
    uint32_t number; /* of a code, from 1, or the integer; of a text 0 */
    char text[WORKLOAD_TEXT_BYTES_MAX];
};

struct workload_update {
    uint32_t record; /* number of the case */
    uint32_t office;
    uint64_t seq; /* within the whole workload, from 0 */
    uint64_t wall_ms;
    bool first; /* of its case */
    size_t value_count;
    struct workload_value values[WORKLOAD_VALUES_MAX];
};

/* Where the generator is. */
struct workload {
    uint32_t state;
    uint64_t next_seq;
    uint64_t count;
    uint32_t record_count;
    bool *seen; /* by case */
};

/* Begin `count` updates of `seed`. ERR_MEMORY. */
MUST_CHECK enum err workload_open(struct workload *workload, uint64_t count, uint32_t seed);
void workload_close(struct workload *workload);

/* The next update; false after the last. */
bool workload_next(struct workload *workload, struct workload_update *update_out);

/* Append the update as a line of JSON, with its newline. */
void workload_json(struct buf *out, const struct workload_update *update);

/* Kinds, fields and vocabularies of the workload. Lives as long as the program. */
const struct codebook *workload_codebook(void);

/* --- as entries --- */

/* Who writes, and with which keys. */
struct workload_world {
    struct key_pair offices[WORKLOAD_OFFICES]; /* signing pairs, one device each */
    uint8_t incarnation[8];                    /* of all of them */
    struct ident compartment;
    struct key epoch_key;
    uint8_t epoch[4];
    uint64_t secret_seed; /* record keys and salts come from it */
};

/* All of it from a seed. */
void workload_world_init(struct workload_world *world, uint64_t seed);

/* A log as its author would send it, from seq 0: chunk n ends at chunk_ends[n] of `bytes`. */
struct workload_log {
    struct descriptor descriptor;
    struct hash log_id;
    uint64_t entry_count;
    struct buf bytes;
    size_t chunk_count;
    size_t chunk_capacity;
    size_t *chunk_ends;
};

/* Where the bytes of the data logs' chunks go, summed over all entries. */
struct workload_sizes {
    uint64_t entries;
    uint64_t chunks;       /* bytes, all in all */
    uint64_t frames;       /* first seq, prev, count and signature of each chunk */
    uint64_t fixed;        /* kind, length, epoch where it is written, salt, reference */
    uint64_t seals;        /* 16 an entry */
    uint64_t content;      /* what is sealed: the payload, compressed where that is smaller */
    uint64_t plain;        /* the payloads' CBOR before that, */
    uint64_t plain_preds;  /* and in it preds */
    uint64_t plain_values; /* and values */
    uint64_t key_entries;
    uint64_t key_chunks; /* bytes of the key logs' chunks */
};

struct workload_logs {
    struct workload_log keys[WORKLOAD_OFFICES]; /* lane 0: a key entry for each case that the office opened */
    struct workload_log data[WORKLOAD_OFFICES]; /* lane 2 */
    uint32_t record_count;
    struct ident *record_ids; /* by number of the case; zero where nothing was written to it */
    struct key *record_keys;  /* likewise */
    struct workload_sizes sizes;
};

/* Write `count` updates of WORKLOAD_SEED as entries of `world`. ERR_MEMORY. */
MUST_CHECK enum err workload_build(struct workload_logs *logs_out, uint64_t count,
                                   const struct workload_world *world);
void workload_logs_free(struct workload_logs *logs);

/* Chunk n of a log. */
struct span workload_chunk(const struct workload_log *log, size_t n);
