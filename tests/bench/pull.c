#include "tests/bench/bench.h"
#include "tests/bench/raw.h"
#include "tests/bench/scene.h"

#include "store/base/cbor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What comes out of the door must not depend on how much came in at once. */
static const uint64_t batches[] = { 1000, 10000 };

enum { SIGNATURES_MAX = 1600, ENTRY_DISK_BYTES_MAX = 900, PULLER_BYTES_MAX = 64 << 20 };

/* --- the chunks, in the order in which they come --- */

struct arrival {
    const struct descriptor *descriptor;
    struct span chunk;
};

struct feed {
    struct workload_logs logs;
    void *mapped; /* the bytes of all chunks: a file, so that they do not count as our memory */
    size_t mapped_size;
    struct arrival *arrivals;
    size_t count;
};

static void
feed_close(struct feed *feed)
{
    for (size_t n = 0; feed->mapped != NULL && n < WORKLOAD_OFFICES; n++) {
        feed->logs.keys[n].bytes = (struct buf){ 0 };
        feed->logs.data[n].bytes = (struct buf){ 0 };
    }
    if (feed->mapped != NULL) {
        (void)munmap(feed->mapped, feed->mapped_size);
    }
    workload_logs_free(&feed->logs);
    free(feed->arrivals);
    *feed = (struct feed){ 0 };
}

static bool
write_log(int file, const struct workload_log *log)
{
    const uint8_t *at = log->bytes.data;

    for (size_t left = log->bytes.size; left > 0;) {
        ssize_t written = write(file, at, left);
        if (written <= 0) {
            return false;
        }
        at += written;
        left -= (size_t)written;
    }
    return true;
}

/* Let the logs' bytes stand in a file. */
static bool
move_out(struct feed *feed, const char *path)
{
    struct workload_log *logs[2 * WORKLOAD_OFFICES];
    size_t size = 0;
    bool good = true;

    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        logs[n] = &feed->logs.keys[n];
        logs[WORKLOAD_OFFICES + n] = &feed->logs.data[n];
    }
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        return false;
    }
    for (size_t n = 0; good && n < 2 * WORKLOAD_OFFICES; n++) {
        good = write_log(file, logs[n]);
        size += logs[n]->bytes.size;
    }
    void *mapped = good ? mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
    (void)close(file);
    if (mapped == MAP_FAILED) {
        return false;
    }
    uint8_t *at = mapped;
    for (size_t n = 0; n < 2 * WORKLOAD_OFFICES; n++) {
        size_t bytes = logs[n]->bytes.size;
        buf_free(&logs[n]->bytes);
        logs[n]->bytes = (struct buf){ .data = at, .size = bytes };
        at += bytes;
    }
    feed->mapped = mapped;
    feed->mapped_size = size;
    return true;
}

/* Lane 0 first; then a chunk of each author in turn. */
static void
put_in_order(struct feed *feed, const struct workload_log logs[WORKLOAD_OFFICES])
{
    bool more = true;

    for (size_t chunk = 0; more; chunk++) {
        more = false;
        for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
            if (chunk < logs[n].chunk_count) {
                feed->arrivals[feed->count++] =
                    (struct arrival){ &logs[n].descriptor, workload_chunk(&logs[n], chunk) };
                more = true;
            }
        }
    }
}

static bool
feed_open(struct feed *feed, struct scene *scene, struct bench *bench, uint64_t entries)
{
    char path[320];
    size_t count = 0;

    *feed = (struct feed){ 0 };
    (void)snprintf(path, sizeof path, "%s/chunks", scene->directory);
    bool good = workload_build(&feed->logs, entries, &scene->writers) == ERR_OK && move_out(feed, path);
    (void)unlink(path);
    for (size_t n = 0; good && n < WORKLOAD_OFFICES; n++) {
        count += feed->logs.keys[n].chunk_count + feed->logs.data[n].chunk_count;
    }
    feed->arrivals = good ? calloc(count, sizeof *feed->arrivals) : NULL;
    if (feed->arrivals == NULL) {
        bench_fail(bench, "the workload could not be built");
        feed_close(feed);
        return false;
    }
    put_in_order(feed, feed->logs.keys);
    put_in_order(feed, feed->logs.data);
    (void)malloc_trim(0);
    return true;
}

/* --- through the door --- */

struct pulled {
    double seconds;
    double processor;
    uint64_t written_bytes;
    uint64_t signatures;
    uint64_t used_bytes;
    uint64_t first_bytes; /* of memory, before anything came in */
    uint64_t peak_bytes;
    uint8_t frontier[16];
    struct hash views;
};

/* Take chunks in until a turn holds `batch` entries or is full; where it did not fit into the map, the turn is taken again. */
static bool
take_turn(struct replica *replica, const struct feed *feed, size_t *next, uint64_t batch)
{
    const struct gossip_store *door = replica_gossip_store(replica);
    struct hash nobody = { { 0 } };
    enum err err = ERR_FULL;

    for (int tries = 0; err == ERR_FULL && tries < 8; tries++) {
        size_t at = *next;
        uint64_t entries = 0;
        err = replica_begin(replica);
        while (err == ERR_OK && at < feed->count && entries < batch && !replica_turn_is_full(replica)) {
            struct gossip_log log = { .descriptor = *feed->arrivals[at].descriptor };
            struct taken taken;
            descriptor_log_id(&log.descriptor, &log.log_id);
            door->take(door->self, &nobody, &log, feed->arrivals[at].chunk, &taken);
            if (taken.verdict != VERDICT_TAKEN) {
                err = taken.verdict == VERDICT_LATER ? ERR_FULL : ERR_INVALID;
                break;
            }
            entries += taken.entry_count;
            at++;
        }
        if (err != ERR_OK) {
            err = replica_abort(replica) == ERR_OK ? err : ERR_IO;
            continue;
        }
        err = replica_commit(replica);
        *next = err == ERR_OK ? at : *next;
    }
    return err == ERR_OK;
}

static bool
take_all(struct replica *replica, const struct feed *feed, uint64_t batch)
{
    size_t next = 0;

    while (next < feed->count) {
        if (!take_turn(replica, feed, &next, batch)) {
            return false;
        }
    }
    return true;
}

/* --- what it should have come to --- */

/* The last value of each field of each case: nobody wrote without having seen it all. */
struct model {
    struct buf (*cases)[WORK_FIELD_END];
    uint32_t count;
};

static void
model_free(struct model *model)
{
    for (uint32_t n = 0; model->cases != NULL && n < model->count; n++) {
        for (size_t field = 0; field < WORK_FIELD_END; field++) {
            buf_free(&model->cases[n][field]);
        }
    }
    free(model->cases);
    *model = (struct model){ 0 };
}

static bool
model_make(struct model *model, uint64_t entries)
{
    struct workload workload;
    struct workload_update update;

    *model = (struct model){ 0 };
    if (workload_open(&workload, entries, WORKLOAD_SEED) != ERR_OK) {
        return false;
    }
    model->count = workload.record_count;
    model->cases = calloc(model->count, sizeof *model->cases);
    while (model->cases != NULL && workload_next(&workload, &update)) {
        struct buf *fields = model->cases[update.record];
        if (update.first) {
            cbor_put_uint(&fields[FIELD_KIND], WORKLOAD_KIND);
        }
        for (size_t n = 0; n < update.value_count; n++) {
            const struct workload_value *value = &update.values[n];
            buf_clear(&fields[value->field]);
            if (value->number > 0) {
                cbor_put_uint(&fields[value->field], value->number);
            } else {
                cbor_put_text(&fields[value->field], span_text(value->text));
            }
        }
    }
    workload_close(&workload);
    return model->cases != NULL;
}

/* Chain a field's value onto a digest. */
static void
digest_value(struct hash *digest, uint32_t record, uint32_t field, struct span value)
{
    uint8_t place[8];

    bytes_write_u32(place, record);
    bytes_write_u32(place + 4, field);
    CRYPTO_HASH(digest, "vigil.bench.view", hash_span(digest), span_of(place, sizeof place), value);
}

static void
digest_of_model(const struct model *model, struct hash *out)
{
    *out = (struct hash){ { 0 } };
    for (uint32_t n = 0; n < model->count; n++) {
        for (uint32_t field = 1; field < WORK_FIELD_END; field++) {
            if (model->cases[n][field].size > 0) {
                digest_value(out, n, field, buf_span(&model->cases[n][field]));
            }
        }
    }
}

static bool
digest_of_views(struct replica *replica, const struct ident *compartment, const struct workload_logs *logs,
                struct hash *out)
{
    static const struct ident none;
    struct arena arena = { 0 };
    bool good = true;

    *out = (struct hash){ { 0 } };
    for (uint32_t n = 0; good && n < logs->record_count; n++) {
        struct replica_view view;
        if (ident_equal(&logs->record_ids[n], &none)) {
            continue;
        }
        good = replica_read(replica, compartment, &logs->record_ids[n], &arena, &view) == ERR_OK;
        for (size_t t = 0; good && t < view.open->target_count; t++) {
            const struct record_target *target = &view.open->targets[t];
            good = target->shown_count == 1 && !target->conflict;
            if (good) {
                digest_value(out, n, target->target.field, target->shown[0]);
            }
        }
        arena_reset(&arena);
    }
    arena_free(&arena);
    return good;
}

static bool
digest_of_frontier(struct replica *replica, const struct ident *compartment, uint8_t out[16])
{
    struct replica_compartment found[16];
    size_t count = replica_compartments(replica, found, 16);

    for (size_t n = 0; n < count && n < 16; n++) {
        if (ident_equal(&found[n].id, compartment)) {
            memcpy(out, found[n].digest, 16);
            return true;
        }
    }
    return false;
}

/* --- measuring --- */

static bool
pull(struct scene *scene, struct bench *bench, const struct feed *feed, uint64_t batch, const char *name,
     struct pulled *out)
{
    struct ident compartment = scene_compartment(scene);
    struct replica *replica = scene_copy(scene, bench, 0, name, workload_codebook());

    if (replica == NULL) {
        return false;
    }
    scene->peak_bytes = 0;
    scene->watches_memory = true;
    (void)malloc_trim(0);
    out->first_bytes = bench_anonymous_bytes();
    uint64_t signatures = crypto_verify_count();
    uint64_t written_bytes = bench_written_bytes();
    double processor = bench_processor();
    double start = bench_now();
    bool good = take_all(replica, feed, batch);
    out->seconds = bench_now() - start;
    out->processor = bench_processor() - processor;
    out->written_bytes = bench_written_bytes() - written_bytes;
    out->signatures = crypto_verify_count() - signatures;
    out->peak_bytes = scene->peak_bytes;
    scene->watches_memory = false;
    if (!good) {
        bench_fail(bench, "the door did not take everything in at %" PRIu64 " entries a commit", batch);
    }
    if (good && (!digest_of_frontier(replica, &compartment, out->frontier) ||
                 !digest_of_views(replica, &compartment, &feed->logs, &out->views))) {
        bench_fail(bench, "not every case reads as it should");
        good = false;
    }
    replica_close(&replica);
    out->used_bytes = scene_used_bytes(scene, bench, 0, name);
    return good;
}

static void
compare(struct bench *bench, const struct pulled pulled[2])
{
    struct model model;
    struct hash expected;
    char hex[2][2 * HASH_BYTES + 1];

    if (!model_make(&model, bench->entries)) {
        bench_fail(bench, "no memory for the model");
        return;
    }
    digest_of_model(&model, &expected);
    model_free(&model);
    bytes_hex(hex[0], span_of(pulled[0].frontier, 16));
    bytes_hex(hex[1], hash_span(&pulled[0].views));
    bench_note("frontier %s", hex[0]);
    bench_note("views    %s", hex[1]);
    if (memcmp(pulled[0].frontier, pulled[1].frontier, 16) != 0) {
        bench_fail(bench, "the frontier depends on how many entries a commit holds");
    }
    for (size_t n = 0; n < 2; n++) {
        if (!hash_equal(&pulled[n].views, &expected)) {
            bench_fail(bench, "the views at %" PRIu64 " entries a commit are not what was written",
                       batches[n]);
        }
    }
}

static void
report(struct bench *bench, struct scene *scene, const struct pulled pulled[2], const struct feed *feed)
{
    char path[320];
    char what[96];
    double entries = (double)bench->entries;
    size_t bytes = (size_t)(feed->logs.sizes.content / feed->logs.sizes.entries);
    double sodium = raw_sodium_entries(bench->entries, 64, bytes);

    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(path, sizeof path, "%s/raw-%zu", scene->directory, n);
        double lmdb = raw_lmdb_rows(path, bench->entries, batches[n], bytes + 51);
        (void)snprintf(what, sizeof what, "remote entries taken in, %" PRIu64 " a commit at most",
                       batches[n]);
        bench_report(&(struct figure){ .what = what,
                                       .measured = entries / pulled[n].seconds,
                                       .unit = "/s",
                                       .bound = AT_LEAST,
                                       .limit = 20000,
                                       .raw = lmdb,
                                       .raw_what = "LMDB puts their rows" });
        bench_note("%.1f us of one processor and %.0f B written, an entry",
                   pulled[n].processor * 1e6 / entries, (double)pulled[n].written_bytes / entries);
    }
    bench_report(&(struct figure){ .what = "  the same, beside the cryptography alone",
                                   .measured = entries / pulled[1].seconds,
                                   .unit = "/s",
                                   .bound = AT_LEAST,
                                   .limit = 40000,
                                   .raw = sodium,
                                   .raw_what = "libsodium hashes, verifies, opens; the limit is the aim" });
    bench_note("%" PRIu64 " updates; %" PRIu64 " key entries came with them and are not counted",
               feed->logs.sizes.entries, feed->logs.sizes.key_entries);
    bench_report(&(struct figure){ .what = "signatures verified for 100,000 entries",
                                   .measured = (double)pulled[1].signatures * 100000 /
                                               (entries + (double)feed->logs.sizes.key_entries),
                                   .unit = "",
                                   .bound = AT_MOST,
                                   .limit = SIGNATURES_MAX });
    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(what, sizeof what, "disk, an entry, everything included, %" PRIu64 " a commit at most",
                       batches[n]);
        bench_report(&(struct figure){ .what = what,
                                       .measured = (double)pulled[n].used_bytes / entries,
                                       .unit = "B",
                                       .bound = AT_MOST,
                                       .limit = ENTRY_DISK_BYTES_MAX });
    }
    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(what, sizeof what, "memory of the puller, %" PRIu64 " a commit at most", batches[n]);
        bench_report(&(struct figure){ .what = what,
                                       .measured = (double)pulled[n].peak_bytes / (1 << 20),
                                       .unit = "MiB",
                                       .bound = AT_MOST,
                                       .limit = (double)(PULLER_BYTES_MAX >> 20) });
        bench_note("%.1f MiB of it before the first entry, the bench's own included",
                   (double)pulled[n].first_bytes / (1 << 20));
    }
}

void
pull_measure(struct bench *bench)
{
    struct scene scene;
    struct feed feed;
    struct pulled pulled[2] = { { 0 } };
    bool good = true;

    if (!scene_make(&scene, bench)) {
        return;
    }
    if (feed_open(&feed, &scene, bench, bench->entries)) {
        for (size_t n = 0; good && n < 2; n++) {
            good = pull(&scene, bench, &feed, batches[n], n == 0 ? "small" : "large", &pulled[n]);
            if (n == 0) {
                scene_remove(&scene, "small");
            }
        }
        if (good) {
            report(bench, &scene, pulled, &feed);
            compare(bench, pulled);
        }
        feed_close(&feed);
    }
    scene_free(&scene);
}

void
start_measure(struct bench *bench)
{
    struct scene scene;
    struct feed feed;
    char what[96];

    if (!scene_make(&scene, bench)) {
        return;
    }
    if (feed_open(&feed, &scene, bench, bench->start_entries)) {
        struct replica *replica = scene_copy(&scene, bench, 0, "start", workload_codebook());
        bool good = replica != NULL && take_all(replica, &feed, 10000);
        replica_close(&replica);
        feed_close(&feed);
        double start = bench_now();
        replica = good ? scene_open(&scene, bench, 0, "start", workload_codebook()) : NULL;
        double seconds = bench_now() - start;
        if (replica == NULL) {
            bench_fail(bench, "the replica to be opened could not be made");
        } else {
            (void)snprintf(what, sizeof what, "start with %" PRIu64 " entries", bench->start_entries);
            bench_report(&(struct figure){
                .what = what, .measured = seconds * 1000, .unit = "ms", .bound = AT_MOST, .limit = 1000 });
            if (bench->start_entries < 1000000) {
                bench_note("were it to grow with the entries, %.0f ms with 1,000,000; --full measures that",
                           seconds * 1000 * 1e6 / (double)bench->start_entries);
            }
        }
        replica_close(&replica);
    }
    scene_free(&scene);
}
