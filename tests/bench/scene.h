/* scene.h - an organisation whose eight authors write the workload, and the replica that reads it.
 *
 *     DIR/org/        the ceremony: one office, eight devices that write, one that reads
 *         first/      the reader, joined, with an epoch made; copied for each measurement
 *         second/     another one of its office, for two to talk to each other
 *
 * By the real ceremony and with real randomness on the readers' side; what the authors write
 * comes from a seed.
 */
#pragma once

#include "sync/replica.h"
#include "tests/bench/bench.h"
#include "tests/bench/workload.h"
#include "tests/support/world.h"

enum { SCENE_READERS = 2 };

/* A device that can be opened as a replica. */
struct scene_reader {
    char directory[320];
    struct key storage_key;
    struct replica_identity identity;
    struct request request;
};

struct scene {
    char directory[280];
    struct test_world chance; /* of the ceremony and of the authors */
    struct world world;       /* of the readers: real clocks, real chance */
    struct scene_reader readers[SCENE_READERS];
    struct workload_world writers;
    bool watches_memory; /* before each commit, which takes as long as a small commit's work */
    uint64_t peak_bytes; /* of our anonymous memory, while it does */
};

/* Make it in a new directory under `bench->directory`. False: said why. */
bool scene_make(struct scene *scene, struct bench *bench);
/* Removes the directory. */
void scene_free(struct scene *scene);

/* Open a copy of a reader, made under `name`. NULL: said why. */
struct replica *scene_copy(struct scene *scene, struct bench *bench, size_t reader, const char *name,
                           const struct codebook *codebook);
/* Open that copy again, as it was left. NULL: said why. */
struct replica *scene_open(struct scene *scene, struct bench *bench, size_t reader, const char *name,
                           const struct codebook *codebook);
void scene_remove(const struct scene *scene, const char *name);

/* Pages in use of both environments of a copy, which must be closed. */
uint64_t scene_used_bytes(struct scene *scene, struct bench *bench, size_t reader, const char *name);

/* The office's case compartment. */
struct ident scene_compartment(const struct scene *scene);
