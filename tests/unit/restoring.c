/* `vigild restore`: which directories a backup goes to, and which it leaves alone. */
#include "node/restoring.h"

#include "node/backup.h"
#include "store/base/log.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS "words of the backup"
#define PASSPHRASE "words of the node"

static struct test_organisation org;
static struct test_node *ken;
static char main_path[192];
static char keys_path[192];
static char directory[160];

static void
take_backup(bool with_device_keys)
{
    const struct config config = { .name = NULL };
    struct peers *peers = peers_new(&config);
    struct stream_recipient recipient;
    struct backup_task *task = NULL;
    struct setup_fault fault;
    char conf[192];
    char path[160];

    (void)snprintf(conf, sizeof conf, "%s/node.conf", ken->directory);
    ck_assert_int_eq(vault_write_plain(conf, span_text("name = \"KEN laptop\"\n")), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/ken", org.directory);
    (void)snprintf(main_path, sizeof main_path, "%s.main", path);
    (void)snprintf(keys_path, sizeof keys_path, "%s.keys", path);
    ck_assert_int_eq(
        stream_recipient_of_passphrase(&recipient, span_text(WORDS), &org.work, &ken->world.world), ERR_OK);
    ck_assert(backup_task_begin(&task,
                                &(struct backup_task_options){ .replica = ken->replica,
                                                               .peers = peers,
                                                               .directory = ken->directory,
                                                               .path = path,
                                                               .recipient = &recipient,
                                                               .with_device_keys = with_device_keys },
                                &fault));
    while (backup_task_stage(task) != BACKUP_DONE) {
        ck_assert(backup_task_step(task, &fault));
    }
    backup_task_close(&task);
    peers_free(&peers);
}

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 51);
    test_organisation_office(&org, "KEN", false);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    take_backup(true);
    (void)snprintf(directory, sizeof directory, "%s/again", org.directory);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static bool
is_there(const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* Read the backup to its end, with newer statements unless `news` is NULL. */
static void
open_and_check(struct restoring *restoring, const char *news)
{
    struct setup_fault fault;

    ck_assert(restoring_open(restoring, main_path, keys_path, &fault));
    ck_assert(!restoring_unseal(restoring, span_text("other words"), &fault));
    ck_assert_int_eq(fault.err, ERR_PASSPHRASE);
    ck_assert(restoring_unseal(restoring, span_text(WORDS), &fault));
    ck_assert_msg(restoring_check(restoring, news, NULL, NULL, &fault), "%s: %s", fault.what, fault.why);
}

static bool
make(struct restoring *restoring, enum restoring_place place, const char *passphrase, struct setup *setup_out,
     struct setup_fault *fault)
{
    return restoring_make(restoring, directory, place, span_text(passphrase), &org.work, &ken->world.world,
                          setup_out, fault);
}

START_TEST(a_new_directory_becomes_the_device_under_a_new_passphrase)
{
    struct restoring restoring;
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    enum restoring_place place;
    struct stat info;

    open_and_check(&restoring, NULL);
    ck_assert(restoring.has_device_keys && restoring.device_counts);
    ck_assert_str_eq(restoring.device, "KEN node 1");
    ck_assert(restoring_place(directory, &place, &fault));
    ck_assert_int_eq(place, PLACE_NEW);
    ck_assert(!make(&restoring, place, "", &setup, &fault));
    ck_assert_int_ne(stat(directory, &info), 0);
    ck_assert(make(&restoring, place, PASSPHRASE, &setup, &fault));
    ck_assert_int_eq(stat(directory, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0700);
    ck_assert(restoring_is_half(directory));
    ck_assert(restoring_apply(&restoring, &setup, place, &ken->world.world, NULL, NULL, &fault));
    ck_assert(!restoring_is_half(directory));
    ck_assert(is_there("node.conf"));
    ck_assert(hash_equal(&replica_identity(setup.replica)->device_id, &ken->identity.device_id));
    ck_assert_mem_ne(replica_identity(setup.replica)->incarnation, ken->identity.incarnation, 8);
    ck_assert(replica_is_restored(setup.replica, NULL));
    setup_close(&setup);
    restoring_close(&restoring);
    /* It opens with its own passphrase, and is not restored into twice. */
    ck_assert(!setup_unlock(&setup, directory, span_text(WORDS), &fault));
    open_and_check(&restoring, NULL);
    ck_assert(restoring_place(directory, &place, &fault));
    ck_assert_int_eq(place, PLACE_JOINED);
    ck_assert(setup_unlock(&setup, directory, span_text(PASSPHRASE), &fault));
    ck_assert(!restoring_apply(&restoring, &setup, place, &ken->world.world, NULL, NULL, &fault));
    ck_assert_int_eq(fault.err, ERR_EXISTS);
    ck_assert(!restoring_is_half(directory));
    setup_close(&setup);
    restoring_close(&restoring);
}
END_TEST

START_TEST(a_directory_with_part_of_something_is_left_alone)
{
    struct setup_fault fault;
    enum restoring_place place;
    char path[256];

    ck_assert_int_eq(mkdir(directory, 0700), 0);
    ck_assert(restoring_place(directory, &place, &fault));
    ck_assert_int_eq(place, PLACE_NEW);
    (void)snprintf(path, sizeof path, "%s/main", directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(!restoring_place(directory, &place, &fault));
    ck_assert_int_eq(fault.err, ERR_EXISTS);
    ck_assert_int_eq(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/device", directory);
    ck_assert_int_eq(vault_write_plain(path, span_text("x")), ERR_OK);
    ck_assert(!restoring_place(directory, &place, &fault));
    ck_assert(!restoring_place(path, &place, &fault));
    ck_assert_int_eq(fault.err, ERR_INVALID);
}
END_TEST

START_TEST(one_that_was_cut_off_begins_anew_with_another_incarnation)
{
    struct restoring restoring;
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    struct replica_identity first;
    enum restoring_place place;

    open_and_check(&restoring, NULL);
    ck_assert(make(&restoring, PLACE_NEW, PASSPHRASE, &setup, &fault));
    ck_assert_int_eq(replica_identity_read(directory, setup.storage_key, &first), ERR_OK);
    setup_close(&setup);
    /* Here the machine lost its power. */
    ck_assert(restoring_is_half(directory));
    ck_assert(restoring_place(directory, &place, &fault));
    ck_assert_int_eq(place, PLACE_HALF);
    ck_assert(!make(&restoring, place, "another passphrase", &setup, &fault));
    ck_assert_int_eq(fault.err, ERR_PASSPHRASE);
    ck_assert(make(&restoring, place, PASSPHRASE, &setup, &fault));
    ck_assert(restoring_apply(&restoring, &setup, place, &ken->world.world, NULL, NULL, &fault));
    ck_assert_mem_ne(replica_identity(setup.replica)->incarnation, first.incarnation, 8);
    ck_assert(!restoring_is_half(directory));
    setup_close(&setup);
    restoring_close(&restoring);
}
END_TEST

START_TEST(a_device_that_was_revoked_is_not_restored_and_its_backup_is)
{
    struct restoring restoring;
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    struct ceremony_cuts cuts;
    struct buf news = { 0 };
    ceremony_fault ceremony_words;
    enum restoring_place place;
    bool by_roots;
    char news_path[192];
    struct stat info;

    ck_assert_int_eq(
        ceremony_plan_revoke(org.ceremony, ken->identity.sign.public_key, REVOKE_LOST, NULL, NULL, 0, &cuts),
        ERR_OK);
    ck_assert_int_eq(ceremony_revoke(org.ceremony, &cuts, false, &by_roots, &ceremony_words), ERR_OK);
    ceremony_cuts_free(&cuts);
    (void)snprintf(news_path, sizeof news_path, "%s/organisation.statements", org.directory);
    ck_assert_int_eq(ceremony_news(org.ceremony, &news), ERR_OK);
    ck_assert_int_eq(vault_write_plain(news_path, buf_span(&news)), ERR_OK);
    buf_free(&news);
    open_and_check(&restoring, news_path);
    ck_assert(!restoring.device_counts);
    ck_assert(!make(&restoring, PLACE_NEW, PASSPHRASE, &setup, &fault));
    ck_assert_int_eq(fault.err, ERR_DENIED);
    ck_assert_int_ne(stat(directory, &info), 0);

    /* A new device of the office takes in what the backup holds. */
    struct test_node *spare = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct buf lock = { 0 };
    (void)snprintf(directory, sizeof directory, "%s", spare->directory);
    ck_assert_int_eq(vault_make(directory, span_text(PASSPHRASE), &org.work, &spare->world.world), ERR_OK);
    ck_assert(setup_unlock(&setup, directory, span_text(PASSPHRASE), &fault));
    ck_assert_int_eq(
        replica_identity_write(directory, setup.storage_key, &spare->identity, &spare->world.world), ERR_OK);
    ck_assert(restoring_place(directory, &place, &fault));
    ck_assert_int_eq(place, PLACE_JOINED);
    /* Not before it has joined. */
    ck_assert(!restoring_apply(&restoring, &setup, place, &spare->world.world, NULL, NULL, &fault));
    ck_assert_int_eq(fault.err, ERR_ABSENT);
    ck_assert(!restoring_is_half(directory));
    struct hash joined;
    (void)snprintf(news_path, sizeof news_path, "%s/welcome", org.directory);
    ck_assert_int_eq(ceremony_welcome(org.ceremony, &spare->request, &lock, &ceremony_words), ERR_OK);
    ck_assert_int_eq(vault_write_plain(news_path, buf_span(&lock)), ERR_OK);
    buf_free(&lock);
    ck_assert(setup_join(&setup, news_path, &spare->world.world, &joined, &fault));
    replica_close(&setup.replica);
    ck_assert(restoring_apply(&restoring, &setup, place, &spare->world.world, NULL, NULL, &fault));
    ck_assert(hash_equal(&replica_identity(setup.replica)->device_id, &spare->identity.device_id));
    ck_assert(replica_is_restored(setup.replica, NULL));
    ck_assert_uint_gt(restoring.counts.entries, 0);
    /* Its own configuration stays. */
    ck_assert(!is_there("node.conf"));
    setup_close(&setup);
    restoring_close(&restoring);
}
END_TEST

SUITE_MAIN_WITH("restoring", setup, teardown, a_new_directory_becomes_the_device_under_a_new_passphrase,
                a_directory_with_part_of_something_is_left_alone,
                one_that_was_cut_off_begins_anew_with_another_incarnation,
                a_device_that_was_revoked_is_not_restored_and_its_backup_is)
