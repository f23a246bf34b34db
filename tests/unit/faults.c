/* Each call by which a node writes to its disk fails in its turn, in each way that disks fail: what was asked is done or refused with
 * one of two errors; after the next start all that was acknowledged is there, whole, and the proof finds nothing. */
#include "tests/support/check.h"
#include "tests/support/disk/steps.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the disk: LMDB, the vault and whoever else writes here calls these --- */

enum how { HOW_EIO, HOW_ENOSPC, HOW_EINTR, HOW_SHORT, HOW_COUNT };

static struct {
    unsigned fails_at; /* the call that fails, from 1; 0: none does */
    unsigned calls;
    enum how how;
    bool for_ever; /* and all behind it */
} disk;

static bool
fails(void)
{
    if (disk.fails_at == 0) {
        return false;
    }
    disk.calls++;
    return disk.calls == disk.fails_at || (disk.for_ever && disk.calls > disk.fails_at);
}

/* What a call that writes `size` bytes is to write; -1: it fails. */
static ssize_t
allowed(size_t size)
{
    if (!fails()) {
        return (ssize_t)size;
    }
    if (disk.how == HOW_SHORT) {
        return (ssize_t)(size - size / 2);
    }
    errno = disk.how == HOW_EIO ? EIO : disk.how == HOW_ENOSPC ? ENOSPC : EINTR;
    return -1;
}

/* One that writes nothing, and so not too little. */
static bool
refused(void)
{
    if (!fails() || disk.how == HOW_SHORT) {
        return false;
    }
    errno = disk.how == HOW_ENOSPC ? ENOSPC : disk.how == HOW_EINTR ? EINTR : EIO;
    return true;
}

ssize_t
disk_step(enum disk_step step, size_t size)
{
    switch (step) {
    case DISK_WRITE_AT:
    case DISK_WRITE:
    case DISK_WRITE_V:
        return allowed(size);
    case DISK_SYNC:
    case DISK_TRUNCATE:
    case DISK_RENAME:
        return refused() ? -1 : 0;
    case DISK_RENAMED:
    case DISK_REMOVE:
    default:
        return 0;
    }
}

/* --- a node --- */

static struct test_organisation org;
static struct test_node *ken;
static struct ident cases;
static struct ident person;
static char image[160];

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    memset(&disk, 0, sizeof disk);
    log_to(silent, NULL);
    test_organisation_init(&org, 77);
    test_organisation_office(&org, "KEN", false);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (int n = 0; n < 10; n++) {
        person = saves_person(ken, &cases, "a name");
    }
    test_node_close(ken);
    (void)snprintf(image, sizeof image, "%s.image", ken->directory);
}

static void
copy(const char *from, const char *to)
{
    char command[400];

    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -rp '%s' '%s'", to, from, to);
    ck_assert_int_eq(system(command), 0);
}

static void
teardown(void)
{
    char command[200];

    disk.fails_at = 0;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", image);
    ck_assert_int_eq(system(command), 0);
    saves_free();
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* --- what is asked --- */

static struct ident made; /* the record that ask_new made, or tried to */

static enum err
open_ken(void)
{
    return replica_open(&ken->replica, &(struct replica_options){ .directory = ken->directory,
                                                                  .world = &ken->world.world,
                                                                  .storage_key = &ken->storage_key,
                                                                  .codebook = ken->codebook,
                                                                  .map_bytes = ken->map_bytes });
}

/* A turn with one save: a new person, or another pseudonym. */
static enum err
save(bool fresh)
{
    struct save_op ops[] = { saves_set("person", "pseudonym", "P-18"), saves_kind("person"),
                             saves_set("person", "name.text", "another name") };
    struct save what = {
        .compartment = cases, .create = fresh, .actor = 1, .ops = ops, .op_count = fresh ? 3 : 1
    };
    struct saved saved = { 0 };
    size_t op;

    what.record_id = fresh ? (struct ident){ { 0 } } : person;
    made = person;
    enum err err = replica_begin(ken->replica);
    if (err == ERR_OK) {
        err = replica_save(ken->replica, &what, &saved, &op);
        made = fresh ? saved.record_id : person;
        if (err == ERR_OK) {
            err = replica_commit(ken->replica);
        } else {
            enum err given_up = replica_abort(ken->replica);
            err = given_up == ERR_OK ? err : given_up;
        }
    }
    /* The daemon answers and sends when that is written, too. */
    if (err == ERR_OK) {
        err = replica_anchor(ken->replica);
    }
    return err;
}

static enum err
ask_new(void)
{
    return save(true);
}

static enum err
ask_change(void)
{
    return save(false);
}

/* Start, and save. */
static enum err
ask_open(void)
{
    test_node_close(ken);
    enum err err = open_ken();

    return err == ERR_OK ? save(false) : err;
}

/* Let call `nth` of what `ask` writes fail. False: there are fewer. */
static bool
try_one(enum err (*ask)(void), unsigned nth, enum how how, bool for_ever)
{
    copy(image, ken->directory);
    ck_assert_int_eq(open_ken(), ERR_OK);
    disk.fails_at = nth;
    disk.calls = 0;
    disk.how = how;
    disk.for_ever = for_ever;
    enum err err = ask();
    bool reached = disk.calls >= nth;
    disk.fails_at = 0;
    ck_assert_msg(err == ERR_OK || err == ERR_IO || err == ERR_FULL, "call %u, way %d: %s", nth, (int)how,
                  err_code(err));
    ck_assert_msg(reached || err == ERR_OK, "it failed without need: %s", err_code(err));
    /* As the daemon does: whatever failed, it ends and begins anew. */
    test_node_close(ken);
    ck_assert_msg(open_ken() == ERR_OK, "call %u, way %d: it does not start", nth, (int)how);
    ck_assert_uint_ge(test_node_prove(ken, NULL).checked[PROOF_RECORDS], 20);
    ck_assert(saves_has(ken, &cases, &person, "pseudonym", "P-17") ||
              saves_has(ken, &cases, &person, "pseudonym", "P-18"));
    if (err == ERR_OK) {
        ck_assert_msg(saves_has(ken, &cases, &made, "pseudonym", "P-18"),
                      "call %u, way %d: what was acknowledged is lost", nth, (int)how);
    }
    /* It works on. */
    ck_assert_int_eq(save(true), ERR_OK);
    ck_assert(saves_has(ken, &cases, &made, "pseudonym", "P-18"));
    test_node_close(ken);
    saves_free();
    return reached;
}

static void
expect_nothing_lost(const char *what, enum err (*ask)(void), unsigned calls_min)
{
    unsigned tries = 0;

    copy(ken->directory, image);
    for (int how = 0; how < HOW_COUNT; how++) {
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            unsigned nth = 1;

            /* A call that is interrupted is made again, and for ever is for ever. */
            if (for_ever == 1 && how == HOW_EINTR) {
                continue;
            }
            while (try_one(ask, nth, (enum how)how, for_ever == 1)) {
                nth++;
                ck_assert_uint_lt(nth, 200);
            }
            ck_assert_uint_gt(nth, calls_min);
            tries += nth;
        }
    }
    printf("%s: %u faults\n", what, tries);
    ck_assert_int_eq(open_ken(), ERR_OK);
}

START_TEST(i4_whichever_write_of_a_new_record_fails_nothing_is_lost)
{
    expect_nothing_lost("a new record", ask_new, 5);
}
END_TEST

START_TEST(i4_whichever_write_of_a_change_fails_nothing_is_lost)
{
    expect_nothing_lost("a change", ask_change, 5);
}
END_TEST

START_TEST(i4_whichever_write_of_a_start_fails_nothing_is_lost)
{
    expect_nothing_lost("a start and a change", ask_open, 5);
}
END_TEST

SUITE_MAIN_WITH("faults", setup, teardown, i4_whichever_write_of_a_new_record_fails_nothing_is_lost,
                i4_whichever_write_of_a_change_fails_nothing_is_lost,
                i4_whichever_write_of_a_start_fails_nothing_is_lost)
