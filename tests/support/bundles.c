#include "tests/support/bundles.h"

#include "tests/support/saves.h"

#include <check.h>
#include <string.h>

unsigned bundles_turns_lost;

void
bundles_free(struct bundles *bundles)
{
    for (size_t n = 0; n < bundles->count; n++) {
        buf_free(&bundles->files[n]);
    }
    bundles->count = 0;
}

/* --- writing --- */

static enum err
append(void *self, struct span bytes)
{
    buf_put_span(self, bytes);
    return ERR_OK;
}

static void
next_volume(struct bundle_export *export, struct bundles *bundles)
{
    ck_assert_uint_lt(bundles->count, BUNDLES_MAX);
    ck_assert_int_eq(
        bundle_export_volume(export, (struct stream_output){ &bundles->files[bundles->count], append }),
        ERR_OK);
    bundles->count++;
}

static enum bundle_files files_mode;

void
bundles_export_files(struct test_node *from, struct test_node *to, enum bundle_content content,
                     enum bundle_files files, uint64_t volume_bytes, struct bundles *out)
{
    files_mode = files;
    bundles_export(from, &to->identity.device_id, 1, content, volume_bytes, out);
    files_mode = BUNDLE_FILES_NONE;
}

void
bundles_export(struct test_node *from, const struct hash *to, size_t to_count, enum bundle_content content,
               uint64_t volume_bytes, struct bundles *out)
{
    struct bundle_export *export = NULL;
    enum bundle_step step = BUNDLE_GOES_ON;
    size_t place;

    *out = (struct bundles){ .count = 0 };
    ck_assert_int_eq(bundle_export_begin(&export, from->replica,
                                         &(struct bundle_export_options){ .destinations = to,
                                                                          .destination_count = to_count,
                                                                          .content = content,
                                                                          .files = files_mode,
                                                                          .volume_bytes = volume_bytes },
                                         &place),
                     ERR_OK);
    for (next_volume(export, out); step != BUNDLE_DONE;) {
        ck_assert_int_eq(bundle_export_step(export, &step), ERR_OK);
        ck_assert_uint_le(out->files[out->count - 1].size, volume_bytes);
        if (step == BUNDLE_VOLUME_ENDS) {
            next_volume(export, out);
        }
    }
    out->progress = bundle_export_progress(export);
    ck_assert_uint_eq(out->progress.lost, 0);
    ck_assert_uint_eq(out->progress.done, out->progress.all);
    bundle_export_close(&export);
}

void
bundles_export_all(struct test_node *from, struct test_node *to, struct bundles *out)
{
    bundles_export(from, &to->identity.device_id, 1, BUNDLE_ALL, UINT32_MAX, out);
}

/* --- taking in --- */

static enum err
memory_read(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct bundles_memory *memory = self;
    size_t left = memory->bytes.size - memory->at;
    size_t size = left < room ? left : room;

    size = memory->slice > 0 && size > memory->slice ? memory->slice : size;
    if (memory->fails_at > 0 && memory->at + size > memory->fails_at) {
        return ERR_IO;
    }
    if (size > 0) {
        memcpy(out, memory->bytes.data + memory->at, size);
    }
    memory->at += size;
    *size_out = size;
    return ERR_OK;
}

static enum err
memory_rewind(void *self)
{
    ((struct bundles_memory *)self)->at = 0;
    return ERR_OK;
}

struct bundle_source
bundles_source(struct bundles_memory *memory)
{
    return (struct bundle_source){ memory, memory_read, memory_rewind };
}

static void
take(void *self, const struct hash *exporter, const struct gossip_log *log, struct span chunk,
     struct taken *taken_out)
{
    const struct gossip_store *store = replica_gossip_store(((struct test_node *)self)->replica);

    store->take(store->self, exporter, log, chunk, taken_out);
}

static bool
is_full(void *self)
{
    return replica_turn_is_full(((struct test_node *)self)->replica);
}

static bool
take_have(void *self, const struct hash *device_id, const struct ident *compartment,
          const struct blob_have_item *item)
{
    return parcel_take_have(((struct test_node *)self)->replica, device_id, compartment, item);
}

static enum parcel_verdict
take_file(void *self, const struct ident *compartment, const struct blob_part *part)
{
    return parcel_take_carried(((struct test_node *)self)->replica, compartment, part);
}

struct bundle_sink
bundles_sink(struct test_node *at)
{
    return (struct bundle_sink){ at, take, is_full, take_have, take_file };
}

void
bundles_import(struct test_node *at, struct bundle_source *sources, size_t count, bool inspect,
               struct bundles_outcome *out)
{
    const struct bundle_sink sink = bundles_sink(at);
    const struct bundle_standing *standing;
    struct bundle_import *import = NULL;
    bool done = false;

    ck_assert_int_eq(bundle_import_open(&import, at->replica, sources, count, inspect ? NULL : &sink),
                     ERR_OK);
    for (int steps = 0; !done; steps++) {
        bool turn = bundle_import_wants_turn(import);

        ck_assert_int_lt(steps, 100000);
        ck_assert(!turn || !inspect);
        if (turn) {
            saves_begin(at);
        }
        ck_assert_int_eq(bundle_import_step(import, &done), ERR_OK);
        if (turn && bundles_turns_lost > 0) {
            bundles_turns_lost--;
            ck_assert_int_eq(replica_abort(at->replica), ERR_OK);
            bundle_import_turn_ended(import, false);
        } else if (turn) {
            saves_commit(at);
            bundle_import_turn_ended(import, true);
        }
    }
    ck_assert_int_eq(bundle_import_contact(import, &out->contact), ERR_OK);
    if (!inspect) {
        bundle_import_keep(import);
        test_node_tend(at);
        saves_begin(at);
        saves_commit(at);
    }
    ck_assert_int_eq(bundle_import_standing(import, &standing, &out->standing_count), ERR_OK);
    ck_assert_uint_le(out->standing_count, 32);
    memcpy(out->standing, standing, out->standing_count * sizeof *standing);
    out->counts = bundle_import_counts(import);
    ck_assert_int_eq(bundle_import_files_here(import, &out->here), ERR_OK);
    for (size_t n = 0; n < count; n++) {
        out->files[n] = *bundle_import_file(import, n);
    }
    bundle_import_close(&import);
}

void
bundles_import_spans(struct test_node *at, const struct span *files, size_t count, bool inspect,
                     struct bundles_outcome *out)
{
    struct bundles_memory memories[BUNDLES_MAX];
    struct bundle_source sources[BUNDLES_MAX];

    for (size_t n = 0; n < count; n++) {
        memories[n] = (struct bundles_memory){ .bytes = files[n], .slice = 5000 + n };
        sources[n] = bundles_source(&memories[n]);
    }
    bundles_import(at, sources, count, inspect, out);
}

void
bundles_import_all(struct test_node *at, const struct bundles *bundles, struct bundles_outcome *out)
{
    struct span files[BUNDLES_MAX];

    for (size_t n = 0; n < bundles->count; n++) {
        files[n] = buf_span(&bundles->files[n]);
    }
    bundles_import_spans(at, files, bundles->count, false, out);
}
