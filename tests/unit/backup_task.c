/* Taking a backup onto a disk: both files whole, or nothing; and what goes to the node of a passphrase. */
#include "node/backup.h"
#include "node/sealing.h"
#include "store/base/cbor.h"
#include "store/base/log.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_organisation org;
static struct test_node *ken;
static struct peers *peers;
static struct stream_recipient recipient;
static char folder[128];
static char path[160];

static void
setup(void)
{
    const struct config config = { .name = NULL };

    log_to(silent, NULL);
    test_organisation_init(&org, 41);
    test_organisation_office(&org, "KEN", false);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    peers = peers_new(&config);
    ck_assert_int_eq(
        stream_recipient_of_passphrase(&recipient, span_text("some words"), &org.work, &ken->world.world),
        ERR_OK);
    (void)snprintf(folder, sizeof folder, "%s/stick", org.directory);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/ken", folder);
}

static void
teardown(void)
{
    peers_free(&peers);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* How many files are in the folder. */
static size_t
count_files(void)
{
    DIR *directory = opendir(folder);
    size_t count = 0;

    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    ck_assert_int_eq(closedir(directory), 0);
    return count;
}

static struct backup_task *
begin(struct setup_fault *fault)
{
    struct backup_task *task = NULL;
    bool begun = backup_task_begin(&task,
                                   &(struct backup_task_options){ .replica = ken->replica,
                                                                  .peers = peers,
                                                                  .directory = ken->directory,
                                                                  .path = path,
                                                                  .recipient = &recipient },
                                   fault);

    ck_assert(begun == (task != NULL));
    return task;
}

START_TEST(both_files_are_there_once_they_were_read_back)
{
    struct setup_fault fault;
    struct backup_task *task = begin(&fault);
    bool wrote = false;
    bool checked = false;
    struct stat info;

    ck_assert_ptr_nonnull(task);
    while (backup_task_stage(task) != BACKUP_DONE) {
        wrote = wrote || backup_task_stage(task) == BACKUP_WRITING;
        checked = checked || backup_task_stage(task) == BACKUP_CHECKING;
        char name[200];
        (void)snprintf(name, sizeof name, "%s.main", path);
        ck_assert_int_ne(access(name, F_OK), 0);
        ck_assert(backup_task_step(task, &fault));
    }
    ck_assert(wrote && checked);
    ck_assert(backup_task_is_for_office(task));
    ck_assert_uint_eq(backup_task_progress(task).lost, 0);
    backup_task_close(&task);
    ck_assert_uint_eq(count_files(), 2);
    for (int n = 0; n < 2; n++) {
        char name[200];

        (void)snprintf(name, sizeof name, "%s%s", path, n == 0 ? ".main" : ".keys");
        ck_assert_int_eq(stat(name, &info), 0);
        ck_assert_uint_eq(info.st_mode & 07777, 0600);
        ck_assert_int_gt(info.st_size, 500);
    }
    /* And they are never written over, one alone neither. */
    ck_assert_ptr_null(begin(&fault));
    ck_assert_int_eq(fault.err, ERR_EXISTS);
    char name[200];
    (void)snprintf(name, sizeof name, "%s.main", path);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_ptr_null(begin(&fault));
    ck_assert_int_eq(fault.err, ERR_EXISTS);
    ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(what_is_given_up_leaves_nothing)
{
    struct setup_fault fault;

    for (int steps = 0; steps < 3; steps++) {
        struct backup_task *task = begin(&fault);

        ck_assert_ptr_nonnull(task);
        for (int n = 0; n < steps && backup_task_stage(task) != BACKUP_DONE; n++) {
            ck_assert(backup_task_step(task, &fault));
        }
        ck_assert_int_ne(backup_task_stage(task), BACKUP_DONE);
        ck_assert_uint_eq(count_files(), 2);
        backup_task_close(&task);
        ck_assert_uint_eq(count_files(), 0);
    }
}
END_TEST

/* More than a block of both files: what is not read yet when the reading back begins. */
static void
fill(void)
{
    const struct codebook *codebook = codebook_reprisals();
    struct ident compartment = test_compartment(ken, "KEN", OWN_CASES);
    struct buf value = { 0 };
    size_t at;

    cbor_put_uint(&value, codebook_kind_by_name(codebook, "person")->number);
    const struct save_op op = { .code = OP_SET,
                                .target = { .field = FIELD_KIND },
                                .value = buf_span(&value) };
    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    for (int n = 0; n < 500; n++) {
        struct saved saved;
        enum err err = replica_save(
            ken->replica,
            &(struct save){
                .compartment = compartment, .create = true, .actor = 1, .ops = &op, .op_count = 1 },
            &saved, &at);

        ck_assert(n % 100 != 0 || err == ERR_OK);
    }
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
    buf_free(&value);
}

START_TEST(a_disk_that_lies_is_found_out)
{
    struct setup_fault fault;

    fill();

    for (int part = 0; part < 2; part++) {
        struct backup_task *task = begin(&fault);
        char name[200];
        uint8_t byte;

        while (backup_task_stage(task) == BACKUP_WRITING) {
            ck_assert(backup_task_step(task, &fault));
        }
        (void)snprintf(name, sizeof name, "%s/.ken%s.part", folder, part == 0 ? ".main" : ".keys");
        int file = open(name, O_RDWR);
        ck_assert_int_ge(file, 0);
        off_t at = lseek(file, -5, SEEK_END);
        ck_assert_int_eq(pread(file, &byte, 1, at), 1);
        byte ^= 1;
        ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
        ck_assert_int_eq(close(file), 0);
        bool good = true;
        while (good && backup_task_stage(task) != BACKUP_DONE) {
            good = backup_task_step(task, &fault);
        }
        ck_assert(!good);
        ck_assert_int_eq(fault.err, ERR_CORRUPT);
        backup_task_close(&task);
        ck_assert_uint_eq(count_files(), 0);
    }
}
END_TEST

START_TEST(a_file_that_somebody_makes_meanwhile_stays)
{
    struct setup_fault fault;
    struct backup_task *task = begin(&fault);
    char name[200];

    while (backup_task_stage(task) == BACKUP_WRITING) {
        ck_assert(backup_task_step(task, &fault));
    }
    (void)snprintf(name, sizeof name, "%s.main", path);
    ck_assert_int_eq(vault_write_plain(name, span_text("mine")), ERR_OK);
    bool good = true;
    while (good && backup_task_stage(task) != BACKUP_DONE) {
        good = backup_task_step(task, &fault);
    }
    ck_assert(!good);
    ck_assert_int_eq(fault.err, ERR_EXISTS);
    backup_task_close(&task);
    ck_assert_uint_eq(count_files(), 1);
    struct buf content = { 0 };
    ck_assert_int_eq(vault_read_plain(name, 100, &content), ERR_OK);
    ck_assert(span_equal(buf_span(&content), span_text("mine")));
    buf_free(&content);
}
END_TEST

START_TEST(a_place_that_is_none_is_told)
{
    static const struct {
        const char *path;
        enum err err;
    } places[] = { { "/nowhere/at/all/ken", ERR_ABSENT },
                   { "/proc/ken", ERR_ABSENT },
                   { "/", ERR_INVALID },
                   { "/tmp/", ERR_INVALID },
                   { "/tmp/..", ERR_INVALID } };

    for (size_t n = 0; n < sizeof places / sizeof places[0]; n++) {
        struct setup_fault fault;

        (void)snprintf(path, sizeof path, "%s", places[n].path);
        ck_assert_ptr_null(begin(&fault));
        ck_assert_msg(fault.err == places[n].err || (n == 1 && fault.err == ERR_DENIED), "%s gives %s", path,
                      err_code(fault.err));
        ck_assert_int_gt((int)strlen(fault.todo), 0);
    }
}
END_TEST

START_TEST(the_node_gets_a_key_and_no_passphrase)
{
    struct stream_recipient read;
    json_t *json = sealing_json(&recipient);
    char *text = json_dumps(json, JSON_COMPACT);

    ck_assert_ptr_null(strstr(text, "some words"));
    ck_assert(sealing_of_json(json, &read));
    ck_assert_mem_eq(read.public_key, recipient.public_key, sizeof read.public_key);
    ck_assert_mem_eq(read.salt, recipient.salt, sizeof read.salt);
    ck_assert_uint_eq(read.work.passes, recipient.work.passes);
    ck_assert_uint_eq(read.work.memory_bytes, recipient.work.memory_bytes);
    ck_assert_uint_eq(read.type, RECIPIENT_PASSPHRASE);
    ck_assert_int_eq(json_object_set_new(json, "memory", json_integer(1 << 20)), 0);
    ck_assert(!sealing_of_json(json, &read));
    ck_assert_int_eq(json_object_set_new(json, "memory", json_integer(64 << 20)), 0);
    ck_assert(sealing_of_json(json, &read));
    ck_assert_int_eq(
        json_object_set_new(json, "key",
                            json_string("0000000000000000000000000000000000000000000000000000000000000000")),
        0);
    ck_assert(!sealing_of_json(json, &read));
    ck_assert_int_eq(json_object_del(json, "key"), 0);
    ck_assert(!sealing_of_json(json, &read));
    ck_assert(!sealing_of_json(NULL, &read));
    free(text);
    json_decref(json);
}
END_TEST

START_TEST(peers_that_were_added_come_back)
{
    const struct config config = { .name = NULL };
    struct peers *again = peers_new(&config);
    struct table_txn *txn = NULL;
    struct buf packed = { 0 };
    struct buf repacked = { 0 };

    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(peers_add(peers, txn, "KEN node 1", "tcp://hq.example.org:7700", "hq", ""), ERR_OK);
    ck_assert_int_eq(peers_add(peers, txn, "12345", "tcp://col.example.org:7700", "", ""), ERR_OK);
    ck_assert_int_eq(
        peers_add(peers, txn, "678901", "tcp://vigil-hq.onion:7700", "tor", "socks5://127.0.0.1:9050"),
        ERR_OK);
    ck_assert_int_eq(peers_set_proxy(peers, txn, &ken->identity.device_id, "socks5://localhost:9150"),
                     ERR_OK);
    ck_assert_int_eq(peers_set_proxy(peers, txn, &(struct hash){ { 1 } }, "none"), ERR_OK);
    ck_assert_int_eq(peers_set_proxy(peers, txn, &(struct hash){ { 2 } }, "socks5://localhost:9150"), ERR_OK);
    ck_assert_int_eq(peers_set_proxy(peers, txn, &(struct hash){ { 2 } }, NULL), ERR_OK);
    const struct line_settings scheduled = { .profile = PROFILE_WAN, .schedule = { 30, 2048 } };
    const struct line_settings other = { .profile = PROFILE_METERED, .interval_min = 7 };
    ck_assert_int_eq(peers_set_line(peers, txn, &(struct hash){ { 3 } }, &scheduled), ERR_OK);
    ck_assert_int_eq(peers_set_line(peers, txn, &(struct hash){ { 4 } }, &other), ERR_OK);
    ck_assert_int_eq(peers_set_line(peers, txn, &(struct hash){ { 5 } }, &scheduled), ERR_OK);
    ck_assert_int_eq(peers_set_line(peers, txn, &(struct hash){ { 5 } }, NULL), ERR_OK);
    peers_pack(peers, &packed);
    ck_assert_int_eq(peers_unpack(again, txn, buf_span(&packed)), ERR_OK);
    peers_pack(again, &repacked);
    ck_assert(span_equal(buf_span(&packed), buf_span(&repacked)));
    for (size_t size = 0; size < packed.size; size++) {
        ck_assert_int_eq(peers_unpack(again, txn, span_of(packed.data, size)), ERR_CORRUPT);
    }
    /* What is called through a proxy here is so wherever it is restored, by whatever it was said. */
    static char all[] = "socks5://127.0.0.1:9050";
    const struct config through = { .proxy = all };
    struct peers *hidden = peers_new(&through);
    ck_assert_int_eq(peers_add(hidden, txn, "12345", "tcp://col.example.org:7700", "", ""), ERR_OK);
    buf_clear(&packed);
    peers_pack(hidden, &packed);
    ck_assert_ptr_nonnull(memmem(packed.data, packed.size, all, strlen(all)));
    peers_free(&hidden);
    for (int bad = 0; bad < 2; bad++) {
        buf_clear(&packed);
        cbor_put_array(&packed, 1);
        cbor_put_array(&packed, 2);
        cbor_put_bytes(&packed, span_of("a short id, or one of 32 bytes.. ", bad == 0 ? 31 : 32));
        cbor_put_text(&packed, span_text(bad == 0 ? "none" : "socks4://127.0.0.1:1"));
        ck_assert_int_eq(peers_unpack(again, txn, buf_span(&packed)), ERR_CORRUPT);
    }
    /* A profile of a line that does not stand, a beat and a size out of their bounds. */
    static const uint64_t bad_lines[][3] = {
        { 3, 30, 2048 }, { 2, 0, 2048 }, { 2, 3601, 2048 }, { 2, 30, 255 }
    };
    for (size_t bad = 0; bad < 4; bad++) {
        buf_clear(&packed);
        cbor_put_array(&packed, 1);
        cbor_put_array(&packed, 4);
        cbor_put_bytes(&packed, hash_span(&ken->identity.device_id));
        for (size_t n = 0; n < 3; n++) {
            cbor_put_uint(&packed, bad_lines[bad][n]);
        }
        ck_assert_int_eq(peers_unpack(again, txn, buf_span(&packed)), ERR_CORRUPT);
    }
    buf_clear(&packed);
    cbor_put_array(&packed, 1);
    cbor_put_array(&packed, 3);
    for (int n = 0; n < 3; n++) {
        cbor_put_text(&packed, span_of("a\0b", 3));
    }
    ck_assert_int_eq(peers_unpack(again, txn, buf_span(&packed)), ERR_CORRUPT);
    replica_end_read(ken->replica, &txn);
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
    peers_free(&again);
    buf_free(&packed);
    buf_free(&repacked);
}
END_TEST

SUITE_MAIN_WITH("backup_task", setup, teardown, both_files_are_there_once_they_were_read_back,
                what_is_given_up_leaves_nothing, a_disk_that_lies_is_found_out,
                a_file_that_somebody_makes_meanwhile_stays, a_place_that_is_none_is_told,
                the_node_gets_a_key_and_no_passphrase, peers_that_were_added_come_back)
