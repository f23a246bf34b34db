/* main.c - bench: every figure that was promised, measured, beside its limit.
 *
 *     bench                  the whole table
 *     bench pull ...         one or more groups of it: pull start save wire list find import stats unlock
 *     bench lines N          the workload's JSON lines
 *     bench size N           bytes of an entry inside a chunk, and where they go
 *     bench open N           entries a second that one core takes apart, hashes, verifies and opens
 *
 * --quick is a run of seconds, --full opens a replica of a million entries, --n N takes in N entries,
 * --dir DIR is on the disk to be measured (/var/tmp). It fails only where a result differs from what it must be.
 */
#include "tests/bench/bench.h"

#include "store/base/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct group {
    const char *name;
    const char *title;
    void (*measure)(struct bench *bench);
} groups[] = {
    { "pull", "taking in", pull_measure },     { "save", "saving", save_measure },
    { "wire", "on the wire", wire_measure },   { "start", "starting", start_measure },
    { "list", "listing", list_measure },       { "find", "searching", find_measure },
    { "import", "importing", import_measure }, { "stats", "counting", stats_measure },
    { "unlock", "unlocking", unlock_measure },
};

enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

static int
usage(const char *name)
{
    (void)fprintf(stderr,
                  "usage: %s [--quick|--full] [--n ENTRIES] [--dir DIR] "
                  "[pull|save|wire|start|list|find|import|stats|unlock ...]\n"
                  "       %s lines|size|open COUNT\n",
                  name, name);
    return 2;
}

static int
parts(const char *name, uint64_t count)
{
    if (strcmp(name, "lines") == 0) {
        return entries_print_lines(count);
    }
    return strcmp(name, "size") == 0 ? entries_print_sizes(count) : entries_print_opening(count);
}

int
main(int argc, char **argv)
{
    struct bench bench = {
        .entries = 100000, .cases = 100000, .start_entries = 200000, .saves = 1000, .unlocks = 100
    };
    bool wanted[GROUP_COUNT] = { false };
    bool all = true;

    (void)snprintf(bench.directory, sizeof bench.directory, "/var/tmp");
    if (argc == 3 && strtoull(argv[2], NULL, 10) > 0 &&
        (strcmp(argv[1], "lines") == 0 || strcmp(argv[1], "size") == 0 || strcmp(argv[1], "open") == 0)) {
        return parts(argv[1], strtoull(argv[2], NULL, 10));
    }
    for (int n = 1; n < argc; n++) {
        const char *value = n + 1 < argc ? argv[n + 1] : NULL;
        size_t group = 0;
        if (strcmp(argv[n], "--quick") == 0) {
            bench.entries = 20000;
            bench.cases = 5000;
            bench.start_entries = 20000;
            bench.saves = 200;
            bench.unlocks = 9;
        } else if (strcmp(argv[n], "--full") == 0) {
            bench.start_entries = 1000000;
        } else if (strcmp(argv[n], "--n") == 0 && value != NULL && strtoull(value, NULL, 10) > 0) {
            bench.entries = strtoull(value, NULL, 10);
            n++;
        } else if (strcmp(argv[n], "--dir") == 0 && value != NULL && strlen(value) < sizeof bench.directory) {
            (void)snprintf(bench.directory, sizeof bench.directory, "%s", value);
            n++;
        } else {
            while (group < GROUP_COUNT && strcmp(argv[n], groups[group].name) != 0) {
                group++;
            }
            if (group == GROUP_COUNT) {
                return usage(argv[0]);
            }
            wanted[group] = true;
            all = false;
        }
    }
    if (crypto_start() != ERR_OK) {
        (void)fprintf(stderr, "%s: the cryptographic library does not start\n", argv[0]);
        return 1;
    }
    bench_head();
    for (size_t group = 0; group < GROUP_COUNT; group++) {
        if (all || wanted[group]) {
            (void)printf("%s\n", groups[group].title);
            groups[group].measure(&bench);
        }
    }
    return bench.failed ? 1 : 0;
}
