/* main.c - what Vigil costs, measured on the workload.
 *
 *     bench lines N    the workload's JSON lines
 *     bench size N     bytes of an entry inside a chunk, and where they go
 */
#include "tests/bench/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
print_lines(uint64_t count)
{
    struct workload workload;
    struct workload_update update;
    struct buf line = { 0 };
    bool written = true;

    if (workload_open(&workload, count, WORKLOAD_SEED) != ERR_OK) {
        return 1;
    }
    while (written && workload_next(&workload, &update)) {
        buf_clear(&line);
        workload_json(&line, &update);
        written = !line.failed && fwrite(line.data, 1, line.size, stdout) == line.size;
    }
    buf_free(&line);
    workload_close(&workload);
    return written && fflush(stdout) == 0 ? 0 : 1;
}

static void
print_share(const char *what, uint64_t bytes, uint64_t entries)
{
    (void)printf("  %-44s %7.2f\n", what, (double)bytes / (double)entries);
}

static int
print_sizes(uint64_t count)
{
    struct workload_world world;
    struct workload_logs logs;

    if (crypto_start() != ERR_OK) {
        return 1;
    }
    workload_world_init(&world, 1);
    if (workload_build(&logs, count, &world) != ERR_OK) {
        return 1;
    }
    const struct workload_sizes *sizes = &logs.sizes;
    (void)printf("%" PRIu64 " entries, %" PRIu64 " key entries\n", sizes->entries, sizes->key_entries);
    print_share("bytes an entry in a chunk, without keys", sizes->chunks, sizes->entries);
    print_share("bytes an entry, key entries shared out", sizes->chunks + sizes->key_chunks, sizes->entries);
    print_share("fixed: kind, length, epoch, salt, reference", sizes->fixed, sizes->entries);
    print_share("seal", sizes->seals, sizes->entries);
    print_share("chunk: seq, prev, count, signature", sizes->frames, sizes->entries);
    print_share("content: the compressed payload", sizes->content, sizes->entries);
    print_share("payload before: all", sizes->plain, sizes->entries);
    print_share("payload before: preds", sizes->plain_preds, sizes->entries);
    print_share("payload before: values", sizes->plain_values, sizes->entries);
    if (sizes->key_entries > 0) {
        print_share("bytes a key entry in a chunk", sizes->key_chunks, sizes->key_entries);
    }
    workload_logs_free(&logs);
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    if (count > 0 && strcmp(argv[1], "lines") == 0) {
        return print_lines(count);
    }
    if (count > 0 && strcmp(argv[1], "size") == 0) {
        return print_sizes(count);
    }
    (void)fprintf(stderr, "usage: %s lines|size COUNT\n", argv[0]);
    return 2;
}
