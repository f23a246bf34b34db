#include "tests/bench/scene.h"

#include "store/keys.h"
#include "sync/ceremony.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char office[] = "KEN";

/* --- the world of a reader --- */

static uint64_t
clock_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t
wall_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_REALTIME);
}

static uint64_t
steady_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_MONOTONIC);
}

static void
draw(void *self, void *out, size_t size)
{
    (void)self;
    crypto_os_random(out, size);
}

static bool
send_nothing(void *self, uint32_t peer, struct span frame)
{
    (void)self;
    (void)peer;
    (void)frame;
    return false;
}

/* Before a commit a turn takes the most memory that it will. */
static enum err
look_at_memory(void *self, enum world_disk step)
{
    struct scene *scene = self;

    if (step == WORLD_DISK_COMMIT && scene->watches_memory) {
        uint64_t bytes = bench_anonymous_bytes();
        scene->peak_bytes = bytes > scene->peak_bytes ? bytes : scene->peak_bytes;
    }
    return ERR_OK;
}

/* --- the ceremony --- */

static enum err
ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)self;
    (void)key_name;
    (void)fresh;
    buf_put_text(passphrase_out, "a passphrase of the bench");
    return ERR_OK;
}

static bool
enrol(struct ceremony *ceremony, const struct world *world, const char *name, enum level level,
      struct replica_identity *identity, struct request *request)
{
    struct buf file = { 0 };
    ceremony_fault fault = { 0 };

    replica_identity_make(identity, world);
    memset(request, 0, sizeof *request);
    memcpy(request->sign_pk, identity->sign.public_key, SIGN_PK_BYTES);
    memcpy(request->box_pk, identity->box.public_key, 32);
    memcpy(request->transport_pk, identity->transport_public, 32);
    memcpy(request->incarnation, identity->incarnation, sizeof request->incarnation);
    (void)snprintf(request->name, sizeof request->name, "%s", name);
    request_write(&file, request, &identity->sign);
    bool good = !file.failed &&
                ceremony_device(ceremony, office, request, level, ROLE_CASE_WORK, NULL, 0, &fault) == ERR_OK;
    buf_free(&file);
    return good;
}

static struct replica *
open_directory(struct scene *scene, size_t reader, const char *directory, const struct codebook *codebook)
{
    struct replica *replica = NULL;
    const struct scene_reader *from = &scene->readers[reader];

    enum err err = replica_open(&replica, &(struct replica_options){ .directory = directory,
                                                                     .world = &scene->world,
                                                                     .storage_key = &from->storage_key,
                                                                     .codebook = codebook });
    return err == ERR_OK ? replica : NULL;
}

/* Hand a reader its welcome, and let it make what is missing: the epochs of its office. */
static bool
join(struct scene *scene, struct ceremony *ceremony, size_t n)
{
    struct scene_reader *reader = &scene->readers[n];
    struct buf file = { 0 };
    struct welcome welcome = { 0 };
    ceremony_fault fault;
    bool more = true;

    bool good = ceremony_welcome(ceremony, &reader->request, &file, &fault) == ERR_OK &&
                welcome_read(buf_span(&file), &reader->identity.box, &welcome, &fault) == ERR_OK;
    buf_free(&file);
    if (!good) {
        return false;
    }
    reader->identity.org = welcome.org;
    reader->identity.control_key = welcome.control_key;
    good = replica_identity_write(reader->directory, &reader->storage_key, &reader->identity,
                                  &scene->world) == ERR_OK;
    struct replica *replica = good ? open_directory(scene, n, reader->directory, workload_codebook()) : NULL;
    good = replica != NULL && replica_found(replica, buf_span(&welcome.statements)) == ERR_OK;
    welcome_free(&welcome);
    while (good && more) {
        good = replica_begin(replica) == ERR_OK;
        more = good && replica_tend(replica);
        good = good && replica_commit(replica) == ERR_OK;
    }
    good = good && replica_anchor(replica) == ERR_OK;
    if (good && n == 0) {
        const struct roster_office *found = roster_office_by_code(replica_roster(replica), office);
        scene->writers.compartment = found->own[OWN_CASES];
    }
    replica_close(&replica);
    return good;
}

static void
take_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct workload_world *writers = self;

    if (ident_equal(compartment, &writers->compartment)) {
        writers->epoch_key = *key;
        memcpy(writers->epoch, epoch_id->bytes, sizeof writers->epoch);
    }
}

static enum err
open_environment(struct scene *scene, const char *directory, size_t reader, enum table_set set,
                 struct table_env **env_out)
{
    char path[400];
    const struct scene_reader *from = &scene->readers[reader];
    struct wrap wrap;

    enum err err = wrap_read(directory, &from->storage_key, &wrap);
    if (err != ERR_OK) {
        return err;
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, set == TABLE_SET_MAIN ? "main" : "keys");
    return table_env_open(
        env_out, &(struct table_options){ .path = path,
                                          .set = set,
                                          .key = set == TABLE_SET_MAIN ? &from->storage_key : &wrap.key,
                                          .world = &scene->world,
                                          .map_bytes = 1 << 20 });
}

/* The authors write with the epoch that the first reader made. */
static bool
learn_epoch(struct scene *scene)
{
    struct table_env *env = NULL;
    struct table_txn *txn = NULL;

    if (open_environment(scene, scene->readers[0].directory, 0, TABLE_SET_KEYS, &env) != ERR_OK) {
        return false;
    }
    bool good = table_begin_read(env, &txn) == ERR_OK;
    if (good) {
        keys_each_epoch(txn, take_epoch, &scene->writers);
        table_abort(&txn);
    }
    table_env_close(&env);
    return good;
}

static bool
found(struct scene *scene)
{
    char directory[300];
    char name[32];
    ceremony_fault fault = { 0 };
    struct ceremony *ceremony = NULL;
    struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };
    struct ceremony_options options = {
        .directory = directory, .world = &scene->chance.world, .work = &work, .ask = ask
    };

    (void)snprintf(directory, sizeof directory, "%s/org", scene->directory);
    bool good = mkdir(directory, 0700) == 0 &&
                ceremony_found(&ceremony, &options, "Bench", 1, 1, &fault) == ERR_OK &&
                ceremony_office(ceremony, office, office, false, NULL, 0, &fault) == ERR_OK;
    for (size_t n = 0; good && n < WORKLOAD_OFFICES; n++) {
        struct replica_identity identity;
        struct request request;
        (void)snprintf(name, sizeof name, "author %zu", n);
        good = enrol(ceremony, &scene->chance.world, name, LEVEL_WRITE, &identity, &request);
        scene->writers.offices[n] = identity.sign;
        crypto_wipe(&identity, sizeof identity);
    }
    for (size_t n = 0; good && n < SCENE_READERS; n++) {
        struct scene_reader *reader = &scene->readers[n];
        (void)snprintf(name, sizeof name, "reader %zu", n);
        (void)snprintf(reader->directory, sizeof reader->directory, "%s/%s", scene->directory,
                       n == 0 ? "first" : "second");
        world_random(&scene->world, reader->storage_key.bytes, KEY_BYTES);
        good = mkdir(reader->directory, 0700) == 0 &&
               wrap_make(reader->directory, &reader->storage_key, &scene->world) == ERR_OK &&
               enrol(ceremony, &scene->chance.world, name, LEVEL_ADMIN, &reader->identity, &reader->request);
    }
    for (size_t n = 0; good && n < SCENE_READERS; n++) {
        good = join(scene, ceremony, n);
    }
    ceremony_close(&ceremony);
    return good && learn_epoch(scene);
}

bool
scene_make(struct scene *scene, struct bench *bench)
{
    memset(scene, 0, sizeof *scene);
    scene->world = (struct world){ .self = scene,
                                   .wall_ms = wall_ms,
                                   .steady_ms = steady_ms,
                                   .random = draw,
                                   .send = send_nothing,
                                   .disk = look_at_memory };
    test_world_init(&scene->chance, WORKLOAD_SEED);
    scene->chance.wall_ms = wall_ms(NULL);
    (void)snprintf(scene->directory, sizeof scene->directory, "%s/vigil-bench-XXXXXX", bench->directory);
    if (mkdtemp(scene->directory) == NULL) {
        scene->directory[0] = '\0';
        bench_fail(bench, "no directory can be made in %s", bench->directory);
        return false;
    }
    world_random(&scene->chance.world, scene->writers.incarnation, sizeof scene->writers.incarnation);
    scene->writers.secret_seed = WORKLOAD_SEED + 1;
    if (!found(scene)) {
        bench_fail(bench, "the organisation could not be made in %s", scene->directory);
        scene_free(scene);
        return false;
    }
    return true;
}

static void
run(const char *format, const char *a, const char *b)
{
    char command[800];

    (void)snprintf(command, sizeof command, format, a, b);
    if (system(command) != 0) {
        (void)fprintf(stderr, "this failed: %s\n", command);
    }
}

void
scene_free(struct scene *scene)
{
    if (scene->directory[0] != '\0') {
        run("rm -rf '%s%s'", scene->directory, "");
    }
    crypto_wipe(scene, sizeof *scene);
}

struct replica *
scene_open(struct scene *scene, struct bench *bench, size_t reader, const char *name,
           const struct codebook *codebook)
{
    char directory[320];

    (void)snprintf(directory, sizeof directory, "%s/%s", scene->directory, name);
    struct replica *replica = open_directory(scene, reader, directory, codebook);
    if (replica == NULL) {
        bench_fail(bench, "the replica in %s does not open", directory);
    }
    return replica;
}

struct replica *
scene_copy(struct scene *scene, struct bench *bench, size_t reader, const char *name,
           const struct codebook *codebook)
{
    char directory[320];

    (void)snprintf(directory, sizeof directory, "%s/%s", scene->directory, name);
    run("cp -r '%s' '%s'", scene->readers[reader].directory, directory);
    return scene_open(scene, bench, reader, name, codebook);
}

void
scene_remove(const struct scene *scene, const char *name)
{
    run("rm -rf '%s/%s'", scene->directory, name);
}

uint64_t
scene_used_bytes(struct scene *scene, struct bench *bench, size_t reader, const char *name)
{
    static const enum table_set sets[] = { TABLE_SET_MAIN, TABLE_SET_KEYS };
    char directory[320];
    uint64_t bytes = 0;

    (void)snprintf(directory, sizeof directory, "%s/%s", scene->directory, name);
    for (size_t n = 0; n < 2; n++) {
        struct table_env *env = NULL;
        struct table_stat stat;
        if (open_environment(scene, directory, reader, sets[n], &env) != ERR_OK) {
            bench_fail(bench, "the tables in %s do not open", directory);
            return 0;
        }
        table_env_stat(env, &stat);
        bytes += stat.used_bytes;
        table_env_close(&env);
    }
    return bytes;
}

struct ident
scene_compartment(const struct scene *scene)
{
    return scene->writers.compartment;
}
