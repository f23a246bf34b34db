/* W1, I9: what a salvage must never do: bring back what was erased, replace what is not its own, or leave half of something. */
#include "store/base/log.h"
#include "store/keys.h"
#include "sync/replica_state.h"
#include "sync/restore.h"
#include "sync/salvage.h"
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERSONS = 12, PAGE_BYTES = 4096, CONSENT_WITHDRAWN = 1, LOG_LINES_MAX = 64 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident persons[PERSONS];
static struct buf bytes;

static void
setup(void)
{
    char name[32];

    log_to(silent, NULL);
    test_organisation_init_with(&org, 57, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(name, sizeof name, "name %zu", n);
        persons[n] = saves_person(ken, &cases, name);
    }
    test_node_exchange(ken, hq);
    test_node_tend(ken);
}

static void
teardown(void)
{
    buf_free(&bytes);
    test_organisation_free(&org);
    saves_free();
}

static const char *
file_of(const char *folder)
{
    static char path[256];

    (void)snprintf(path, sizeof path, "%s/%s/data.mdb", ken->directory, folder);
    return path;
}

static void
read_file(const char *folder)
{
    struct stat info;
    int file = open(file_of(folder), O_RDONLY | O_CLOEXEC);

    buf_clear(&bytes);
    ck_assert_int_eq(fstat(file, &info), 0);
    ck_assert_int_eq(read(file, buf_extend(&bytes, (size_t)info.st_size), (size_t)info.st_size),
                     info.st_size);
    ck_assert_int_eq(close(file), 0);
}

static void
write_file(const char *folder, size_t size)
{
    int file = open(file_of(folder), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(file, bytes.data, size), (ssize_t)size);
    ck_assert_int_eq(close(file), 0);
}

/* True if the file is as `bytes`. */
static bool
is_unchanged(const char *folder)
{
    struct buf before = bytes;

    bytes = (struct buf){ 0 };
    read_file(folder);
    bool same = span_equal(buf_span(&before), buf_span(&bytes));
    buf_free(&bytes);
    bytes = before;
    return same;
}

static bool
is_beside(const char *folder)
{
    char path[256];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/%s/data.mdb.new", ken->directory, folder);
    return stat(path, &info) == 0;
}

static enum err
salvage(bool main_too, bool keys_too, bool apply, struct replica_salvaged *out)
{
    return replica_salvage(&(struct replica_salvage){ .directory = ken->directory,
                                                      .world = &ken->world.world,
                                                      .storage_key = &ken->storage_key,
                                                      .damaged = { main_too, keys_too },
                                                      .apply = apply },
                           out);
}

static size_t
persons_here(void)
{
    size_t count = 0;

    for (size_t n = 0; n < PERSONS; n++) {
        count += saves_pseudonym_count(ken, &cases, &persons[n]) > 0;
    }
    return count;
}

/* Zero what begins a page: the roots of LMDB's list of free pages, which the metas name. */
static void
lose_free_list(void)
{
    for (size_t meta = 0; meta < 2; meta++) {
        uint64_t root;

        memcpy(&root, bytes.data + meta * PAGE_BYTES + 16 + 24 + 40, sizeof root);
        if (root != UINT64_MAX) {
            memset(bytes.data + root * PAGE_BYTES, 0, PAGE_BYTES);
        }
    }
}

/* Both signatures; the files are not rewritten yet, so that all bytes of what was erased are in free pages. */
static void
erase(size_t n)
{
    struct replica_order order;

    saves_begin(ken);
    ck_assert_int_eq(replica_order_erasure(ken->replica, &cases, &persons[n], CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    saves_begin(hq);
    ck_assert_int_eq(replica_order_erasure(hq->replica, &cases, &persons[n], CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(hq);
    test_node_exchange(ken, hq);
    test_node_tend(ken);
    ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &persons[n]), 0);
}

/* How many key entries of main/ are not erased, and how many record keys are here. */
static void
count_keys(size_t *entries_out, size_t *records_out)
{
    struct journal *journal = replica_journal(ken->replica);
    struct table_txn *txn = NULL;

    *entries_out = 0;
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        for (uint64_t seq = 0; seq < journal_branch(journal, no)->next_seq; seq++) {
            struct journal_entry stored;

            ck_assert_int_eq(journal_read(journal, txn, no, seq, &stored), ERR_OK);
            *entries_out += stored.entry.kind == ENTRY_KEY && stored.state != STATE_ERASED;
        }
    }
    *records_out = (size_t)table_count(ken->replica->keys_txn, TABLE_KEYS_RECORD);
    replica_end_read(ken->replica, &txn);
}

/* All pages of both files are read, old ones too, since nobody can tell which are in use. */
START_TEST(w1_what_was_erased_does_not_come_back_out_of_free_pages)
{
    struct replica_salvaged out;
    size_t entries_before;
    size_t records_before;
    size_t entries;
    size_t records;

    erase(3);
    erase(4);
    count_keys(&entries_before, &records_before);
    test_node_close(ken);
    read_file("main");
    lose_free_list();
    write_file("main", bytes.size);
    read_file("keys");
    lose_free_list();
    write_file("keys", bytes.size);
    ck_assert_int_eq(salvage(true, true, true, &out), ERR_OK);
    ck_assert(!out.parts[PART_MAIN].sure && !out.parts[PART_KEYS].sure);
    ck_assert_uint_gt(out.parts[PART_KEYS].doubtful, 0); /* of keys that were destroyed, there were some */

    test_node_open(ken);
    count_keys(&entries, &records);
    ck_assert_uint_eq(entries, entries_before);
    ck_assert_uint_eq(records, records_before);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(persons_here(), PERSONS - 2);
    ck_assert(replica_compact_is_due(ken->replica));
    ck_assert_int_eq(replica_compact(ken->replica), ERR_OK);
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(persons_here(), PERSONS - 2);
    (void)test_node_prove(ken, NULL);
}
END_TEST

START_TEST(a_disk_that_fails_before_the_new_file_is_in_place_leaves_the_old_one)
{
    struct replica_salvaged out;

    test_node_close(ken);
    read_file("main");
    memset(bytes.data + 3 * PAGE_BYTES, 0, 512);
    write_file("main", bytes.size);
    test_world_fail_disk(&ken->world, 1, ERR_IO);
    ck_assert_int_eq(salvage(true, false, true, &out), ERR_IO);
    ck_assert(is_unchanged("main"));
    ck_assert(!is_beside("main"));
    ck_assert_int_eq(salvage(true, false, false, &out), ERR_OK);
    ck_assert(is_unchanged("main"));
    ck_assert_int_eq(salvage(true, false, true, &out), ERR_OK);
    ck_assert(!is_unchanged("main"));
    test_node_open(ken);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(persons_here(), PERSONS);
}
END_TEST

/* A crash came after the new file was written and before it was renamed: what lies beside is no hindrance. */
START_TEST(what_a_crash_left_beside_is_replaced)
{
    struct replica_salvaged out;
    char path[256];

    test_node_close(ken);
    read_file("main");
    memset(bytes.data + 3 * PAGE_BYTES, 0, 512);
    write_file("main", bytes.size);
    (void)snprintf(path, sizeof path, "%s/main/data.mdb.new", ken->directory);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(file, bytes.data, bytes.size / 2), (ssize_t)(bytes.size / 2));
    ck_assert_int_eq(close(file), 0);
    ck_assert_int_eq(salvage(true, false, true, &out), ERR_OK);
    ck_assert(!is_beside("main"));
    test_node_open(ken);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(persons_here(), PERSONS);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_left_alone)
{
    struct replica_salvaged out;

    /* Of another node of the same organisation. */
    test_node_close(ken);
    test_node_close(hq);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/main/data.mdb", hq->directory);
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    buf_clear(&bytes);
    ck_assert_int_eq(fstat(file, &info), 0);
    ck_assert_int_eq(read(file, buf_extend(&bytes, (size_t)info.st_size), (size_t)info.st_size),
                     info.st_size);
    ck_assert_int_eq(close(file), 0);
    write_file("main", bytes.size);
    ck_assert_int_eq(salvage(true, true, true, &out), ERR_CORRUPT);
    ck_assert(is_unchanged("main"));
    ck_assert(!is_beside("main"));
    /* Nor was keys/ touched, whose salvage nothing would be held against. */
    ck_assert_uint_eq(out.parts[PART_KEYS].pages, 0);
}
END_TEST

/* keys/ is read after main/ says so: a crash between the two goes on where it was. */
START_TEST(a_salvage_that_was_cut_off_between_the_two_goes_on)
{
    struct replica_salvaged out;

    erase(5);
    test_node_close(ken);
    read_file("main");
    memset(bytes.data + 3 * PAGE_BYTES, 0, 512);
    write_file("main", bytes.size);
    read_file("keys");
    lose_free_list();
    write_file("keys", bytes.size);
    test_world_fail_disk(&ken->world, 2, ERR_IO); /* the first is that of main/ */
    ck_assert_int_eq(salvage(true, true, true, &out), ERR_IO);
    ck_assert(is_unchanged("keys"));
    ck_assert_int_eq(salvage(false, true, true, &out), ERR_OK);
    test_node_open(ken);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(persons_here(), PERSONS - 1);
    ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &persons[5]), 0);
    test_node_exchange(ken, hq);
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* main/ is whole, and says what was erased before any old key can come back. */
START_TEST(w1_a_destroyed_key_does_not_come_back_out_of_keys_alone)
{
    struct replica_salvaged out;
    size_t entries;
    size_t records_before;
    size_t records;

    erase(6);
    count_keys(&entries, &records_before);
    test_node_close(ken);
    read_file("keys");
    lose_free_list();
    write_file("keys", bytes.size);
    ck_assert_int_eq(salvage(false, true, true, &out), ERR_OK);
    ck_assert_uint_gt(out.parts[PART_KEYS].of[TABLE_KEYS_RECORD], records_before);
    test_node_open(ken);
    count_keys(&entries, &records);
    ck_assert_uint_eq(records, records_before);
    ck_assert(replica_compact_is_due(ken->replica));
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(persons_here(), PERSONS - 1);
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* A database that lost something is not the one that signed: it never signs one of its numbers twice. */
START_TEST(i13_own_logs_are_closed_and_new_ones_begun)
{
    struct replica_salvaged out;
    uint8_t before[8];

    memcpy(before, ken->replica->identity.incarnation, sizeof before);
    test_node_close(ken);
    ck_assert_int_eq(salvage(true, false, true, &out), ERR_OK);
    test_node_open(ken);
    ck_assert(memcmp(before, ken->replica->identity.incarnation, sizeof before) != 0);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    saves_pseudonym(ken, &cases, &persons[0], "P-new");
    test_node_exchange(ken, hq);
    ck_assert(saves_has_pseudonym(hq, &cases, &persons[0], "P-new"));
    ck_assert_uint_eq(roster_fork_count(replica_roster(hq->replica)), 0);
}
END_TEST

/* The end of a log went with its page, and the key entry of a record with it: the key itself is still in keys/, and may be all there is. */
START_TEST(the_key_of_a_record_stays_whose_key_entry_was_lost_behind_the_end_of_its_log)
{
    struct replica_salvaged out;
    struct record_key key;

    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    ck_assert_int_eq(keys_get_record(ken->replica->keys_txn, &cases, &persons[0], &key), ERR_OK);
    key.seq += 1000;
    keys_move_record(ken->replica->keys_txn, &cases, &key);
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
    test_node_close(ken);
    ck_assert_int_eq(salvage(true, true, true, &out), ERR_OK);
    test_node_open(ken);

    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    ck_assert_int_eq(keys_get_record(ken->replica->keys_txn, &cases, &persons[0], &key), ERR_OK);
    ck_assert_uint_ge(key.seq, 1000);
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
    crypto_wipe(&key, sizeof key);
}
END_TEST

SUITE_MAIN_WITH("salvage", setup, teardown, w1_a_destroyed_key_does_not_come_back_out_of_keys_alone,
                w1_what_was_erased_does_not_come_back_out_of_free_pages,
                a_disk_that_fails_before_the_new_file_is_in_place_leaves_the_old_one,
                what_a_crash_left_beside_is_replaced, a_file_that_is_not_ours_is_left_alone,
                a_salvage_that_was_cut_off_between_the_two_goes_on,
                i13_own_logs_are_closed_and_new_ones_begun,
                the_key_of_a_record_stays_whose_key_entry_was_lost_behind_the_end_of_its_log)
