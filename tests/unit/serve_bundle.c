/* bundle.export, bundle.inspect and bundle.import: files of the running node, and what the loop does for them. */
#include "node/backup_file.h"
#include "node/bundle.h"
#include "node/value.h"
#include "store/base/log.h"
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;
static struct ident cases;
static struct ident person;
static char stick[96];

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 61);
    served_begin_two(&org, &ken, &hq);
    cases = test_compartment(ken.node, "KEN", OWN_CASES);
    person = saves_person(ken.node, &cases, "zebra-quartz-marker");
    (void)snprintf(stick, sizeof stick, "%s/stick", org.directory);
    ck_assert_int_eq(mkdir(stick, 0700), 0);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    saves_free();
}

/* One pass of the loop over what a node has to do by itself; `fails`: its turn comes to nothing. False: nothing is left. */
static bool
pass(struct served *node, bool fails)
{
    struct replica *replica = node->node->replica;

    if (serve_has_writes(node->serve)) {
        ck_assert_int_eq(replica_begin(replica), ERR_OK);
        ck_assert(serve_write(node->serve));
        if (fails) {
            ck_assert_int_eq(replica_abort(replica), ERR_OK);
        } else {
            ck_assert_int_eq(replica_commit(replica), ERR_OK);
        }
        serve_turn_ended(node->serve, fails ? ERR_FULL : ERR_OK);
        test_world_pass(&node->node->world, fails ? 10000 : 1);
    }
    return serve_work(node->serve);
}

static void
work(struct served *node)
{
    for (int passes = 0; pass(node, false); passes++) {
        ck_assert_int_lt(passes, 10000);
    }
    test_node_tend(node->node);
}

/* Ask for something that goes on afterwards: it was not refused, and has no answer yet. */
static void
ask(struct served *node, const char *format, const char *text)
{
    char request[512];

    (void)snprintf(request, sizeof request, format, text);
    for (char *at = request; *at != '\0'; at++) {
        *at = (char)(*at == '\'' ? '"' : *at);
    }
    json_t *answer = serve_one(node->serve, json_loads(request, 0, NULL));
    ck_assert_msg(answer == NULL, "%s", json_dumps(answer, 0));
}

static void
make_people(int count)
{
    saves_begin(ken.node);
    for (int n = 0; n < count; n++) {
        const struct save_op ops[] = { saves_kind("person"), saves_set("person", "pseudonym", "P-1") };

        (void)saves_new(ken.node, &cases, ops, 2);
    }
    saves_commit(ken.node);
}

static size_t
files_on_stick(void)
{
    DIR *folder = opendir(stick);
    size_t count = 0;

    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 ? 1 : 0;
    }
    ck_assert_int_eq(closedir(folder), 0);
    return count;
}

START_TEST(a_bundle_is_written_read_back_and_taken_in)
{
    struct stat info;
    char path[128];

    ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/for-hq'}", stick);
    work(&ken);
    ck_assert_uint_eq(files_on_stick(), 1);
    (void)snprintf(path, sizeof path, "%s/for-hq.001", stick);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_uint_eq(marker_count(stick, span_text("zebra-quartz-marker")), 0);
    ck_assert_uint_eq(marker_count(stick, span_text("KEN")), 0);
    ck_assert_uint_eq(marker_count(stick, hash_span(&ken.node->identity.device_id)), 0);
    /* It is only read: from a stick that is locked against writing, too. */
    ck_assert_int_eq(chmod(path, 0400), 0);
    ask(&hq, "{'do':'bundle.inspect','files':['%s/for-hq.001']}", stick);
    work(&hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq.node, &cases, &person), 0);
    ask(&hq, "{'do':'bundle.import','files':['%s/for-hq.001']}", stick);
    /* The first turn is lost. */
    while (!serve_has_writes(hq.serve)) {
        ck_assert(pass(&hq, false));
    }
    (void)pass(&hq, true);
    work(&hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq.node, &cases, &person), 1);
    ck_assert_int_eq(stat(path, &info), 0);
}
END_TEST

static void
time_text(char out[32], uint64_t wall_ms)
{
    json_t *json = time_json(wall_ms);

    (void)snprintf(out, 32, "%s", json_string_value(json));
    json_decref(json);
}

/* When headquarters last heard of KEN, and how. */
static void
expect_heard(const char *at, bool by_bundle)
{
    json_t *answer = served_ask(&hq, "{'id':1,'do':'device.list'}");
    size_t index;
    json_t *device;
    bool found = false;

    json_array_foreach((json_t *)served_member(served_granted(answer), "devices"), index, device)
    {
        if (strcmp(json_string_value(json_object_get(device, "office")), "KEN") == 0) {
            const char *said = json_string_value(json_object_get(device, "last_contact"));

            found = true;
            ck_assert_msg(said == NULL ? at == NULL : at != NULL && strcmp(said, at) == 0, "%s",
                          said == NULL ? "never" : said);
            ck_assert_int_eq(json_is_true(json_object_get(device, "by_bundle")), by_bundle);
        }
    }
    ck_assert(found);
    json_decref(answer);
}

static void
write_stick(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", stick, name);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s'}", path);
    work(&ken);
}

static void
import_stick(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s.001", stick, name);
    ask(&hq, "{'do':'bundle.import','files':['%s']}", path);
    work(&hq);
}

/* Every other turn of it comes to nothing. */
static void
import_with_losses(const char *name, int which)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s.001", stick, name);
    ask(&hq, "{'do':'bundle.import','files':['%s']}", path);
    for (int turns = which; pass(&hq, serve_has_writes(hq.serve) && turns % 2 == 0); turns++) {
        ck_assert_int_lt(turns, 1000);
    }
    test_node_tend(hq.node);
}

START_TEST(files_go_along_as_they_were_chosen_and_come_to_be_here)
{
    struct blob_made small;
    struct blob_made large;

    (void)pictures_add(ken.node, &cases, 1, 20000, &small);
    (void)pictures_add(ken.node, &cases, 2, 2000000, &large);
    served_refused(
        served_ask(&ken, "{'id':1,'do':'bundle.export','to':['HQ'],'evidence':'some','path':'%s/x'}", stick),
        "usage");
    served_refused(
        served_ask(
            &ken,
            "{'id':1,'do':'bundle.export','to':['HQ'],'content':'receipts','evidence':'all','path':'%s/x'}",
            stick),
        "usage");
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'evidence':'none','path':'%s/none'}", stick);
    work(&ken);
    import_stick("none");
    ck_assert_uint_eq(pictures_held(hq.node, &small.address), 0);
    write_stick("wanted");
    import_stick("wanted");
    pictures_expect(hq.node, &small, 1);
    ck_assert_uint_eq(pictures_held(hq.node, &large.address), 0);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'evidence':'all','path':'%s/all'}", stick);
    work(&ken);
    import_with_losses("all", 0);
    pictures_expect(hq.node, &large, 2);
}
END_TEST

START_TEST(whoever_made_a_bundle_was_heard_when_it_was_made)
{
    struct table_txn *txn = NULL;
    char first[32];
    char second[32];

    expect_heard(NULL, false);
    time_text(first, world_wall_ms(&ken.node->world.world));
    write_stick("first");
    test_world_pass(&ken.node->world, 3600 * 1000);
    time_text(second, world_wall_ms(&ken.node->world.world));
    write_stick("second");
    test_world_pass(&hq.node->world, 48 * 3600 * 1000);
    /* Whoever only looks at it has heard nobody; nor has whom it is not for, nor the one that made it. */
    ask(&hq, "{'do':'bundle.inspect','files':['%s/first.001']}", stick);
    work(&hq);
    expect_heard(NULL, false);
    import_with_losses("first", 0);
    expect_heard(first, true);
    import_with_losses("second", 1);
    expect_heard(second, true);
    /* An older one says nothing new. */
    import_stick("first");
    expect_heard(second, true);
    /* It outlives the process. */
    ck_assert_int_eq(replica_begin_read(hq.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(peers_load(hq.peers, txn), ERR_OK);
    replica_end_read(hq.node->replica, &txn);
    expect_heard(second, true);
    /* A line is later, until the next stick. */
    struct peer *peer = peers_by_device(hq.peers, &ken.node->identity.device_id);
    ck_assert_ptr_nonnull(peer);
    peer->contact_ms = world_wall_ms(&hq.node->world.world);
    char now[32];
    time_text(now, peer->contact_ms);
    expect_heard(now, false);
    /* Whose clock is ahead was heard now, and no later. */
    test_world_pass(&ken.node->world, UINT64_C(400) * 24 * 3600 * 1000);
    write_stick("ahead");
    test_world_pass(&hq.node->world, 3600 * 1000);
    ask(&hq, "{'do':'bundle.import','files':['%s/ahead.001']}", stick);
    while (pass(&hq, false)) {
    }
    const struct peer_heard heard = peers_last_heard(hq.peers, &ken.node->identity.device_id);
    ck_assert(heard.by_bundle);
    ck_assert_uint_le(heard.at_ms, world_wall_ms(&hq.node->world.world));
    ck_assert_uint_ge(heard.at_ms + 1000, world_wall_ms(&hq.node->world.world));
}
END_TEST

START_TEST(a_report_on_an_erasure_says_that_a_stick_was_the_last_contact)
{
    write_stick("first");
    char made[32];
    time_text(made, world_wall_ms(&ken.node->world.world));
    test_world_pass(&hq.node->world, 48 * 3600 * 1000);
    import_stick("first");
    char id[2 * IDENT_BYTES + 1];
    bytes_hex(id, ident_span(&person));
    json_decref(
        served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", id));
    json_t *answer = served_ask(&hq, "{'id':1,'do':'erase.report'}");
    const json_t *devices = served_member(served_granted(answer), "devices");
    ck_assert_uint_eq(json_array_size(devices), 2);
    for (size_t n = 0; n < 2; n++) {
        const json_t *device = json_array_get(devices, n);
        bool own = strcmp(json_string_value(served_member(device, "device.office")), "HQ") == 0;

        ck_assert_int_eq(json_is_true(json_object_get(device, "by_bundle")), !own);
        if (!own) {
            ck_assert_str_eq(json_string_value(json_object_get(device, "state")), "missing");
            ck_assert_int_eq(strncmp(json_string_value(json_object_get(device, "last_contact")), made, 19),
                             0);
        }
    }
    json_decref(answer);
}
END_TEST

START_TEST(an_import_whose_turns_all_come_to_nothing_ends)
{
    int passes = 0;

    ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/x'}", stick);
    work(&ken);
    ask(&hq, "{'do':'bundle.import','files':['%s/x.001']}", stick);
    while (pass(&hq, true)) {
        passes++;
        ck_assert_int_lt(passes, 100);
    }
    ck_assert_uint_eq(saves_pseudonym_count(hq.node, &cases, &person), 0);
    ask(&hq, "{'do':'bundle.import','files':['%s/x.001']}", stick);
    work(&hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq.node, &cases, &person), 1);
}
END_TEST

START_TEST(small_volumes_have_numbers_and_none_is_written_over)
{
    char path[128];

    make_people(1200);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'content':'all','size':262144,'path':'%s/v'}", stick);
    work(&ken);
    ck_assert_uint_ge(files_on_stick(), 2);
    (void)snprintf(path, sizeof path, "%s/v.002", stick);
    ck_assert_int_eq(access(path, R_OK), 0);
    size_t count = files_on_stick();
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/v'}", stick), "exists");
    /* A later volume is in the way: what was written before goes again. */
    (void)snprintf(path, sizeof path, "%s/v.001", stick);
    ck_assert_int_eq(unlink(path), 0);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'content':'all','size':262144,'path':'%s/v'}", stick);
    work(&ken);
    ck_assert_uint_eq(files_on_stick(), count - 1);
    ck_assert_int_ne(access(path, R_OK), 0);
}
END_TEST

START_TEST(what_cannot_be_done_is_refused_with_a_reason)
{
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'relative'}"), "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.export','path':'%s/x'}", stick), "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':[7],'path':'%s/x'}", stick), "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'size':100,'path':'%s/x'}", stick),
                   "usage");
    served_refused(
        served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'content':'some','path':'%s/x'}", stick),
        "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['KEN'],'path':'%s/x'}", stick), "absent");
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['nobody'],'path':'%s/x'}", stick), "absent");
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/no/x'}", stick), "absent");
    served_refused(served_ask(&ken, "{'do':'bundle.import','files':[]}"), "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.import','files':['x']}"), "usage");
    served_refused(served_ask(&ken, "{'do':'bundle.import','files':['%s/none']}", stick), "absent");
    served_refused(served_ask(&ken, "{'do':'bundle.inspect','files':['%s']}", stick), "denied");
    ck_assert_uint_eq(files_on_stick(), 0);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/x'}", stick);
    served_refused(served_ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/y'}", stick), "busy");
    work(&ken);
    ck_assert_uint_eq(files_on_stick(), 1);
}
END_TEST

/* --- a medium that gives not every block --- */

static struct {
    ino_t inode; /* 0: all is good */
    off_t from;
    off_t to;
} bad;

/* How much of a reading the medium gives; -1: it begins where nothing is given. */
static ssize_t
given(int descriptor, off_t at, size_t size)
{
    struct stat info;

    if (bad.inode == 0 || fstat(descriptor, &info) != 0 || info.st_ino != bad.inode || at >= bad.to ||
        at + (off_t)size <= bad.from) {
        return (ssize_t)size;
    }
    return at < bad.from ? (ssize_t)(bad.from - at) : -1;
}

/* In the place of the libraries'. */
ssize_t
read(int descriptor, void *out, size_t size)
{
    off_t at = bad.inode == 0 ? 0 : lseek(descriptor, 0, SEEK_CUR);
    ssize_t possible = given(descriptor, at, size);

    if (possible < 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_read, descriptor, out, (size_t)possible);
}

ssize_t
pread(int descriptor, void *out, size_t size, off_t at)
{
    ssize_t possible = given(descriptor, at, size);

    if (possible < 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, descriptor, out, (size_t)possible, at);
}

static void
take_in(void *self, const struct hash *exporter, const struct gossip_log *log, struct span chunk,
        struct taken *taken_out)
{
    const struct gossip_store *store = replica_gossip_store(self);

    store->take(store->self, exporter, log, chunk, taken_out);
}

static bool
never_full(void *self)
{
    (void)self;
    return false;
}

START_TEST(a_block_that_the_medium_does_not_give_costs_what_lies_in_it)
{
    struct replica *replica = hq.node->replica;
    const struct bundle_sink sink = { replica, take_in, never_full, NULL, NULL }; /* no file goes along */
    struct bundle_read *read_in = NULL;
    struct setup_fault fault;
    struct stat info;
    char path[128];
    bool done = false;

    make_people(600);
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'content':'all','path':'%s/x'}", stick);
    work(&ken);
    (void)snprintf(path, sizeof path, "%s/x.001", stick);
    ck_assert_int_eq(stat(path, &info), 0);
    const char *paths[] = { path };
    ck_assert(bundle_read_begin(&read_in, replica, paths, 1, &sink, &fault));
    struct bundle_import *import = bundle_read_import(read_in);
    off_t block = info.st_size / 2 / 4096 * 4096;
    bad.from = block + 100; /* the medium gives what comes before it in its block */
    bad.to = block + 2 * 4096;
    bad.inode = info.st_ino;
    while (!done) {
        bool turn = bundle_import_wants_turn(import);

        ck_assert(!turn || replica_begin(replica) == ERR_OK);
        ck_assert_int_eq(bundle_import_step(import, &done), ERR_OK);
        if (turn) {
            ck_assert_int_eq(replica_commit(replica), ERR_OK);
            bundle_import_turn_ended(import, true);
        }
    }
    bad.inode = 0;
    const struct bundle_file *file = bundle_import_file(import, 0);
    ck_assert_int_eq(file->state, BUNDLE_FILE_GOOD);
    ck_assert(!file->whole);
    ck_assert_uint_eq(bundle_read_lost(read_in, 0), 2 * 4096 - 100);
    ck_assert_uint_eq(file->reading.bytes, (uint64_t)info.st_size);
    ck_assert_uint_eq(file->reading.damaged_places, 1);
    ck_assert_uint_ge(file->reading.damaged_bytes, 2 * 4096 - 100);
    ck_assert_uint_lt(file->reading.damaged_bytes, 4 * 16 * 1024);
    ck_assert_uint_gt(bundle_import_counts(import).taken, 100);
    bundle_read_close(&read_in);
}
END_TEST

START_TEST(an_export_that_is_given_up_leaves_nothing)
{
    ask(&ken, "{'do':'bundle.export','to':['HQ'],'path':'%s/x'}", stick);
    ck_assert_uint_eq(files_on_stick(), 1); /* .x.001.part */
    served_end(&ken);
    ck_assert_uint_eq(files_on_stick(), 0);
    served_begin(&ken, ken.node);
}
END_TEST

SUITE_MAIN_WITH("serve_bundle", setup, teardown, a_bundle_is_written_read_back_and_taken_in,
                files_go_along_as_they_were_chosen_and_come_to_be_here,
                whoever_made_a_bundle_was_heard_when_it_was_made,
                a_report_on_an_erasure_says_that_a_stick_was_the_last_contact,
                an_import_whose_turns_all_come_to_nothing_ends,
                small_volumes_have_numbers_and_none_is_written_over,
                what_cannot_be_done_is_refused_with_a_reason,
                a_block_that_the_medium_does_not_give_costs_what_lies_in_it,
                an_export_that_is_given_up_leaves_nothing)
