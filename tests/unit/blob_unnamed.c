/* Files that no record names: what a crash leaves between a file and its commit goes at the next start, and nothing else does. */
#include "store/base/log.h"
#include "store/shelf.h"
#include "sync/replica_state.h"
#include "tests/support/check.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 3 * BLOB_CHUNK_BYTES + 9 };

static struct test_organisation org;
static struct test_node *ken;
static struct ident cases;
static struct blob_made named;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 97);
    test_organisation_office(&org, "KEN", false);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    (void)pictures_add(ken, &cases, 1, BYTES, &named);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

static bool
is_there(const struct hash *address, const char *suffix)
{
    char hex[2 * HASH_BYTES + 1];
    char path[256];

    bytes_hex(hex, hash_span(address));
    (void)snprintf(path, sizeof path, "%s/blobs/%s%s", ken->directory, hex, suffix);
    return access(path, F_OK) == 0;
}

/* A file that has its name, and of whose record nothing was committed. */
static void
keep_a_file(struct blob_made *made)
{
    struct blob_writer *writer;
    uint8_t content[BYTES] = { 7 };

    ck_assert_int_eq(blob_writer_open(&writer, replica_blobs(ken->replica), BYTES), ERR_OK);
    ck_assert_int_eq(blob_write(writer, span_of(content, sizeof content)), ERR_OK);
    ck_assert_int_eq(blob_writer_end(writer, made), ERR_OK);
    ck_assert_int_eq(blob_writer_keep(writer), ERR_OK);
    blob_writer_close(&writer);
}

/* The process ends between the file and the commit of its record: by a real kill of another one that has the replica open. */
static void
crash(struct blob_made *made)
{
    int ends[2];
    int status = 0;

    test_node_close(ken);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        test_node_open(ken);
        saves_begin(ken);
        keep_a_file(made);
        shelf_refer(ken->replica->main_txn, &made->address, BYTES, 1, 0);
        shelf_put_whole(ken->replica->main_txn, &made->address, made->chunk_count);
        (void)!write(ends[1], made, sizeof *made);
        for (;;) {
            pause();
        }
    }
    ck_assert_int_eq(read(ends[0], made, sizeof *made), sizeof *made);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(ends[0]);
    close(ends[1]);
    test_node_open(ken);
}

static void
expect_unnamed(uint64_t count)
{
    struct replica_unnamed unnamed;

    ck_assert_int_eq(replica_count_unnamed(ken->replica, &unnamed), ERR_OK);
    ck_assert_uint_eq(unnamed.count, count);
    ck_assert_uint_eq(unnamed.bytes, count * blob_file_bytes(named.chunk_count));
}

START_TEST(what_a_kill_leaves_goes_at_the_next_start_and_what_is_named_stays)
{
    struct blob_made lost;

    expect_unnamed(0);
    crash(&lost);
    ck_assert(is_there(&lost.address, ""));
    ck_assert_uint_eq(pictures_held(ken, &lost.address), 0);
    expect_unnamed(1);
    test_node_tend(ken);
    ck_assert(!is_there(&lost.address, ""));
    expect_unnamed(0);
    ck_assert_uint_eq(replica_unnamed_removed(ken->replica).count, 1);
    ck_assert_uint_eq(replica_unnamed_removed(ken->replica).bytes, blob_file_bytes(lost.chunk_count));
    pictures_expect(ken, &named, 1);
}
END_TEST

START_TEST(a_part_that_nothing_names_goes_and_one_that_is_on_its_way_stays)
{
    static const struct hash stranger = { { 0xab, 1 } };
    struct blob_file *file = NULL;

    ck_assert_int_eq(blob_begin(&file, replica_blobs(ken->replica), &stranger, 4), ERR_OK);
    blob_close(&file);
    /* Of the one that is named a chunk is missing, and the rest is here. */
    ck_assert_int_eq(blobs_reopen(replica_blobs(ken->replica), &named.address), ERR_OK);
    saves_begin(ken);
    shelf_lose_chunk(ken->replica->main_txn, &named.address, 2);
    saves_commit(ken);
    test_node_close(ken);
    test_node_open(ken);
    ck_assert(is_there(&stranger, ".part") && is_there(&named.address, ".part"));
    test_node_tend(ken);
    ck_assert(!is_there(&stranger, ".part"));
    ck_assert(is_there(&named.address, ".part"));
    ck_assert_uint_eq(pictures_held(ken, &named.address), named.chunk_count - 1);
}
END_TEST

START_TEST(of_a_replica_that_was_rolled_back_they_stay_for_a_while)
{
    struct blob_made lost;

    crash(&lost);
    test_node_close(ken);
    /* Without its anchor file a replica cannot know what it signed: records that name the file may be with a peer. */
    char path[256];
    (void)snprintf(path, sizeof path, "%s/anchor", ken->directory);
    ck_assert_int_eq(unlink(path), 0);
    test_node_open(ken);
    test_node_tend(ken);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    ck_assert(is_there(&lost.address, ""));
    test_node_close(ken);
    test_node_open(ken);
    test_node_tend(ken);
    ck_assert(is_there(&lost.address, ""));
    expect_unnamed(1);
    test_node_close(ken);
    test_world_pass(&ken->world, UINT64_C(91) * 24 * 3600 * 1000);
    test_node_open(ken);
    test_node_tend(ken);
    ck_assert(!is_there(&lost.address, ""));
    pictures_expect(ken, &named, 1);
}
END_TEST

SUITE_MAIN_WITH("blob_unnamed", setup, teardown,
                what_a_kill_leaves_goes_at_the_next_start_and_what_is_named_stays,
                a_part_that_nothing_names_goes_and_one_that_is_on_its_way_stays,
                of_a_replica_that_was_rolled_back_they_stay_for_a_while)
