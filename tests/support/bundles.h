/* bundles.h - bundles of test nodes, in memory: written to their end, and taken in turn by turn. */
#pragma once

#include "sync/bundle_import.h"
#include "tests/support/organisation.h"

enum { BUNDLES_MAX = 64 };

/* The volumes of one bundle. */
struct bundles {
    struct buf files[BUNDLES_MAX];
    size_t count;
    struct bundle_progress progress;
};

void bundles_free(struct bundles *bundles);

/* Write one: no volume passes `volume_bytes`, and nothing is lost. */
void bundles_export(struct test_node *from, const struct hash *to, size_t to_count,
                    enum bundle_content content, uint64_t volume_bytes, struct bundles *out);

/* The same to one, with files. */
void bundles_export_files(struct test_node *from, struct test_node *to, enum bundle_content content,
                          enum bundle_files files, uint64_t volume_bytes, struct bundles *out);

/* Everything, to one, in one volume. */
void bundles_export_all(struct test_node *from, struct test_node *to, struct bundles *out);

/* A file in memory. */
struct bundles_memory {
    struct span bytes;
    size_t at;
    size_t slice;    /* as much as one read gives; 0: all */
    size_t fails_at; /* 0: never */
};
struct bundle_source bundles_source(struct bundles_memory *memory);
struct bundle_sink bundles_sink(struct test_node *at);

/* What came of an import. */
struct bundles_outcome {
    struct bundle_counts counts;
    struct bundle_file files[BUNDLES_MAX];
    struct bundle_standing standing[32];
    size_t standing_count;
    enum bundle_contact contact;
    struct bundle_files_here here;
};

extern unsigned bundles_turns_lost; /* of the next import: its first turns come to nothing */

/* Take files in, or look at them; then let the node tend. */
void bundles_import(struct test_node *at, struct bundle_source *sources, size_t count, bool inspect,
                    struct bundles_outcome *out);
void bundles_import_spans(struct test_node *at, const struct span *files, size_t count, bool inspect,
                          struct bundles_outcome *out);
void bundles_import_all(struct test_node *at, const struct bundles *bundles, struct bundles_outcome *out);
