/* bench.h - what Vigil costs: figures, each beside its limit and beside what LMDB or libsodium alone can do.
 *
 *     workload --> scene: an organisation with its keys --> a group measures --> bench_report --> a line
 *
 * Nothing here passes or fails by a time: a figure over its limit says so. What must be
 * the same every time is compared, and the program fails if it is not.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

struct bench {
    uint64_t entries;       /* of the workload */
    uint64_t cases;         /* of the list */
    uint64_t start_entries; /* in the replica that is opened */
    uint64_t saves;         /* one by one */
    uint64_t unlocks;       /* tries of each passphrase */
    char directory[256];    /* where the replicas of this run are made */
    bool failed;            /* something was not the same, or could not be done */
};

enum bound { BOUND_NONE, AT_LEAST, AT_MOST };

struct figure {
    const char *what;
    double measured;
    const char *unit; /* "/s", "B", "ms" */
    enum bound bound;
    double limit;
    double raw; /* the same of a library alone, in the same unit; 0: there is none */
    const char *raw_what;
};

void bench_head(void);
/* Print a line of the table. */
void bench_report(const struct figure *figure);
/* Print a remark under the table's last line. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Print what went wrong; the program will fail. */
void bench_fail(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The steady clock, in seconds from anywhere. */
double bench_now(void);

/* Processor time of this process, all threads, in seconds. */
double bench_processor(void);

/* What this process has handed to files so far, in bytes. */
uint64_t bench_written_bytes(void);

/* Memory of this process that no file stands behind, in bytes. */
uint64_t bench_anonymous_bytes(void);

/* --- groups, one file each --- */

int entries_print_lines(uint64_t count);
int entries_print_sizes(uint64_t count);
int entries_print_opening(uint64_t count);
void pull_measure(struct bench *bench);
void start_measure(struct bench *bench);
void save_measure(struct bench *bench);
void wire_measure(struct bench *bench);
void list_measure(struct bench *bench);
void find_measure(struct bench *bench);
void import_measure(struct bench *bench);
void stats_measure(struct bench *bench);
void unlock_measure(struct bench *bench);
