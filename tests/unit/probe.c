/* I2: a database that was cut short, emptied, or is another file is met by a child in its sandbox, which may end of it; who waits for it is
 * told why, and lives. */
#include "node/probe.h"
#include "store/base/log.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PERSONS = 8 };

static struct test_organisation org;
static struct test_node *ken;
static struct buf whole[2]; /* main/ and keys/ as they were */
static struct setup_fault fault;

static const char *
file_of(size_t which)
{
    static char path[256];

    (void)snprintf(path, sizeof path, "%s/%s/data.mdb", ken->directory, which == 0 ? "main" : "keys");
    return path;
}

static void
write_file(size_t which, const void *data, size_t size)
{
    int file = open(file_of(which), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(file, data, size), (ssize_t)size);
    ck_assert_int_eq(close(file), 0);
}

static void
setup(void)
{
    char name[32];

    log_to(silent, NULL);
    test_organisation_init(&org, 44);
    test_organisation_office(&org, "KEN", false);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(name, sizeof name, "name %zu", n);
        (void)saves_person(ken, &cases, name);
    }
    test_node_close(ken);
    for (size_t which = 0; which < 2; which++) {
        struct stat info;
        int file = open(file_of(which), O_RDONLY | O_CLOEXEC);

        ck_assert_int_eq(fstat(file, &info), 0);
        ck_assert_int_eq(read(file, buf_extend(&whole[which], (size_t)info.st_size), (size_t)info.st_size),
                         info.st_size);
        ck_assert_int_eq(close(file), 0);
    }
}

static void
teardown(void)
{
    buf_free(&whole[0]);
    buf_free(&whole[1]);
    test_organisation_free(&org);
    saves_free();
}

/* Sanitizers need calls that no sandbox allows: then as much of it as there is. */
static bool
passes(const struct world *world)
{
    memset(&fault, 0, sizeof fault);
    return probe_store(ken->directory, SANDBOX_BEST_EFFORT, world, &fault);
}

/* True if the child says that the pages are damaged, or the opening that follows on it refuses them. */
static bool
is_refused(void)
{
    if (!passes(&ken->world.world)) {
        ck_assert_int_eq(fault.err, ERR_CORRUPT);
        ck_assert_uint_gt(strlen(fault.why), 0);
        ck_assert_uint_gt(strlen(fault.todo), 0);
        return true;
    }
    struct replica *replica = NULL;
    enum err err = replica_open(&replica, &(struct replica_options){ .directory = ken->directory,
                                                                     .world = &ken->world.world,
                                                                     .storage_key = &ken->storage_key,
                                                                     .codebook = ken->codebook });

    replica_close(&replica);
    return err != ERR_OK;
}

static void
mend(size_t which)
{
    write_file(which, whole[which].data, whole[which].size);
    ck_assert(passes(&ken->world.world));
}

START_TEST(i2_a_file_that_was_cut_short_is_refused_wherever_it_ends)
{
    ck_assert(passes(&ken->world.world));
    for (size_t which = 0; which < 2; which++) {
        for (size_t pages = 0; pages * PAGE_BYTES < whole[which].size; pages++) {
            write_file(which, whole[which].data, pages * PAGE_BYTES);
            ck_assert_msg(is_refused(), "%s with %zu pages", file_of(which), pages);
            write_file(which, whole[which].data, pages * PAGE_BYTES + 1000);
            ck_assert_msg(is_refused(), "%s with %zu pages and a part", file_of(which), pages);
        }
        mend(which);
    }
}
END_TEST

START_TEST(i2_another_file_in_its_place_is_refused)
{
    uint8_t *bytes = malloc(whole[0].size);
    uint64_t state = 5;

    for (size_t which = 0; which < 2; which++) {
        /* Nothing, text, zeros, ones, noise; then the other database, and this one twice over. */
        write_file(which, "", 0);
        ck_assert(is_refused());
        write_file(which, "Dear colleagues,\n", 17);
        ck_assert(is_refused());
        memset(bytes, 0, whole[0].size);
        write_file(which, bytes, whole[0].size);
        ck_assert(is_refused());
        memset(bytes, 0xff, whole[0].size);
        write_file(which, bytes, whole[0].size);
        ck_assert(is_refused());
        for (size_t n = 0; n < whole[0].size; n++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[n] = (uint8_t)(state >> 56);
        }
        write_file(which, bytes, whole[0].size);
        ck_assert(is_refused());
        write_file(which, whole[1 - which].data, whole[1 - which].size);
        ck_assert(is_refused());
        /* What LMDB reads first is right, and what it leads to is not. */
        memcpy(bytes, whole[which].data, 2 * PAGE_BYTES);
        write_file(which, bytes, whole[which].size < whole[0].size ? whole[which].size : whole[0].size);
        ck_assert(is_refused());
        mend(which);
    }
    free(bytes);
}
END_TEST

START_TEST(i2_a_page_in_the_place_of_another_is_refused)
{
    static uint8_t page[PAGE_BYTES];
    size_t refused = 0;
    size_t count = 0;

    for (size_t at = 2 * PAGE_BYTES; at + 2 * PAGE_BYTES <= whole[0].size; at += PAGE_BYTES, count++) {
        struct buf mixed = { 0 };

        buf_put_span(&mixed, buf_span(&whole[0]));
        memcpy(page, mixed.data + at, PAGE_BYTES);
        memmove(mixed.data + at, mixed.data + at + PAGE_BYTES, PAGE_BYTES);
        memcpy(mixed.data + at + PAGE_BYTES, page, PAGE_BYTES);
        write_file(0, mixed.data, mixed.size);
        refused += is_refused();
        buf_free(&mixed);
    }
    mend(0);
    /* The others are in use by nothing any more. */
    ck_assert_uint_gt(refused, count / 4);
}
END_TEST

/* What LMDB goes by on a page: where its rows lie (their places are a list at its head), how long their keys are, and on a page above others
 * from which key on each of these begins. */
enum {
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12,
    PAGE_PLACES = 16,
    ROW_KEY_SIZE = 6,
    ROW_KEY = 8,
    ABOVE = 1,
    LEAF = 2
};

static uint16_t
number_at(const uint8_t *at)
{
    uint16_t number;

    memcpy(&number, at, sizeof number);
    return number;
}

static bool
passes_with(size_t which, size_t at, uint8_t changed)
{
    uint8_t was = whole[which].data[at];

    whole[which].data[at] = changed;
    write_file(which, whole[which].data, whole[which].size);
    whole[which].data[at] = was;
    return passes(&ken->world.world);
}

/* Pages that nothing leads to any more are as they were left. */
static bool
is_in_use(size_t which, size_t page)
{
    static const uint8_t zeros[PAGE_BYTES];
    struct buf without = { 0 };

    buf_put_span(&without, buf_span(&whole[which]));
    memcpy(without.data + page, zeros, PAGE_BYTES);
    write_file(which, without.data, without.size);
    buf_free(&without);
    return !passes(&ken->world.world);
}

START_TEST(i1_a_bit_of_what_a_page_says_of_its_rows_is_refused)
{
    size_t leaves = 0;
    size_t above = 0;

    for (size_t which = 0; which < 2; which++) {
        for (size_t page = 2 * PAGE_BYTES; page < whole[which].size; page += PAGE_BYTES) {
            const uint8_t *at = whole[which].data + page;
            uint16_t rows = (uint16_t)((number_at(at + PAGE_LOWER) - PAGE_PLACES) / 2);
            size_t last = page + number_at(at + PAGE_PLACES + 2 * (rows - 1));

            if (rows > PAGE_BYTES / 2 || !is_in_use(which, page)) {
                continue;
            }
            if (number_at(at + PAGE_FLAGS) == LEAF && at[8] == 0) {
                /* One row more or less; a key two bytes longer or shorter; a row that lies elsewhere. */
                ck_assert(!passes_with(which, page + PAGE_LOWER, (uint8_t)(at[PAGE_LOWER] ^ 2)));
                ck_assert(!passes_with(which, last + ROW_KEY_SIZE,
                                       (uint8_t)(whole[which].data[last + ROW_KEY_SIZE] ^ 2)));
                for (size_t place = PAGE_PLACES; place < PAGE_PLACES + 2U * rows; place++) {
                    ck_assert(!passes_with(which, page + place, (uint8_t)(at[place] ^ 128)));
                }
                leaves++;
            } else if (number_at(at + PAGE_FLAGS) == ABOVE) {
                /* Keys above it pass for keys below it; and the other way round. */
                size_t high = last + ROW_KEY;

                while (whole[which].data[high] == 0) {
                    high++;
                }
                ck_assert(!passes_with(which, last + ROW_KEY, 0xff));
                ck_assert(!passes_with(which, high, 0));
                above++;
            }
        }
        mend(which);
    }
    ck_assert_uint_gt(leaves, 10);
    ck_assert_uint_gt(above, 0);
}
END_TEST

/* --- the child --- */

static bool
sandbox_is_whole(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        const struct sandbox_options options = { .role = SANDBOX_CHECK,
                                                 .mode = SANDBOX_BEST_EFFORT,
                                                 .directory = ken->directory };
        struct sandbox_state state;

        _exit(sandbox_enter(&options, &state) && state.whole ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The clock of the child is asked on its way: what it does instead there is what damaged pages might have it do. */
static uint64_t
open_socket(void *self)
{
    (void)self;
    return (uint64_t)socket(AF_INET, SOCK_STREAM, 0);
}

static uint64_t
never_end(void *self)
{
    (void)self;
    while (nanosleep(&(struct timespec){ .tv_sec = 60 }, NULL) == 0) {
    }
    return 0;
}

static uint64_t
fall(void *self)
{
    (void)self;
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
    return 0;
}

static struct world
world_with(uint64_t (*clock)(void *self))
{
    struct world world = ken->world.world;

    world.steady_ms = clock;
    return world;
}

START_TEST(i2_what_ends_the_child_is_told_and_ends_nobody_else)
{
    struct world world = world_with(fall);

    ck_assert(!passes(&world));
    ck_assert_int_eq(fault.err, ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(fault.why, "ended a process"));
    ck_assert(passes(&ken->world.world));
}
END_TEST

START_TEST(i2_a_child_that_comes_to_no_end_is_ended)
{
    struct world world = world_with(never_end);

    ck_assert(!passes(&world));
    ck_assert_int_eq(fault.err, ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(fault.why, "came to no end"));
}
END_TEST

START_TEST(i2_the_child_is_in_its_sandbox)
{
    struct world world = world_with(open_socket);

    /* Where it cannot be set, nothing runs but what was told to: see the tests of that. */
    if (sandbox_is_whole()) {
        ck_assert(!passes(&world));
        ck_assert_int_eq(fault.err, ERR_DENIED);
        ck_assert_ptr_nonnull(strstr(fault.why, "sandbox forbids"));
    }
}
END_TEST

SUITE_MAIN_WITH("probe", setup, teardown, i2_a_file_that_was_cut_short_is_refused_wherever_it_ends,
                i2_another_file_in_its_place_is_refused, i2_a_page_in_the_place_of_another_is_refused,
                i1_a_bit_of_what_a_page_says_of_its_rows_is_refused,
                i2_what_ends_the_child_is_told_and_ends_nobody_else, i2_a_child_that_comes_to_no_end_is_ended,
                i2_the_child_is_in_its_sandbox)
