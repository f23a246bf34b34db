#include "tests/bench/bench.h"
#include "tests/bench/workload.h"

#include "sync/update.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
entries_print_lines(uint64_t count)
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

int
entries_print_sizes(uint64_t count)
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

/* A case as a reader finds it: by the first 8 bytes of its id. */
struct reader_case {
    uint8_t prefix[8];
    struct key key;
};

static int
by_prefix(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

/* Open every entry of a log; false if one does not. */
static bool
open_log(const struct workload_log *log, const struct epoch_keys *epoch, const struct reader_case *cases,
         size_t case_count, struct buf *payload)
{
    static struct chunk chunk;
    struct hash prev = { { 0 } };
    uint8_t prefix[8];

    for (size_t n = 0; n < log->chunk_count; n++) {
        if (chunk_read(workload_chunk(log, n), log->descriptor.lane, &chunk) != CHUNK_OK) {
            return false;
        }
        chunk_identify(&chunk, &log->log_id, &prev);
        if (chunk_verify(&chunk, log->descriptor.sign_pk) != CHUNK_OK) {
            return false;
        }
        for (size_t e = 0; e < chunk.entry_count; e++) {
            const struct entry *entry = &chunk.entries[e];
            entry_reference_prefix(prefix, entry, &log->log_id, epoch);
            const struct reader_case *found = bsearch(prefix, cases, case_count, sizeof *cases, by_prefix);
            if (found == NULL || entry_open(entry, &log->log_id, epoch, &found->key, payload) != FAULT_NONE) {
                return false;
            }
        }
        prev = chunk.entries[chunk.entry_count - 1].id;
    }
    return true;
}

static double
seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int
entries_print_opening(uint64_t count)
{
    struct workload_world world;
    struct workload_logs logs;
    struct epoch_keys epoch;
    struct buf payload = { 0 };
    bool opened = true;

    if (crypto_start() != ERR_OK) {
        return 1;
    }
    workload_world_init(&world, 1);
    epoch_keys_of(&epoch, &world.epoch_key);
    if (workload_build(&logs, count, &world) != ERR_OK) {
        return 1;
    }
    struct reader_case *cases = calloc(logs.record_count, sizeof *cases);
    if (cases == NULL) {
        workload_logs_free(&logs);
        return 1;
    }
    for (size_t n = 0; n < logs.record_count; n++) {
        memcpy(cases[n].prefix, logs.record_ids[n].bytes, sizeof cases[n].prefix);
        cases[n].key = logs.record_keys[n];
    }
    qsort(cases, logs.record_count, sizeof *cases, by_prefix);
    uint64_t verified = crypto_verify_count();
    double start = seconds_now();
    for (size_t n = 0; n < WORKLOAD_OFFICES && opened; n++) {
        opened = open_log(&logs.data[n], &epoch, cases, logs.record_count, &payload);
    }
    double seconds = seconds_now() - start;
    if (opened) {
        (void)printf("%" PRIu64 " entries opened, %.0f a second of one core; %" PRIu64
                     " signatures verified\n",
                     count, (double)count / seconds, crypto_verify_count() - verified);
    }
    buf_wipe(&payload);
    free(cases);
    workload_logs_free(&logs);
    return opened ? 0 : 1;
}
