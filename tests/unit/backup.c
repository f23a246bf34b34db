/* Backups: what is taken out of a replica comes back whole on another machine, and by the one door. */
#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/keys.h"
#include "store/shelf.h"
#include "sync/restore.h"
#include "sync/restore_files.h"
#include "tests/support/bundles.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MARKER "zebra-quartz-marker"

static struct test_organisation org;
static struct arena values; /* of the ops of a test */

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 31);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    arena_free(&values);
}

/* --- saving and looking --- */

static const struct codebook_field *
field_of_person(const char *name)
{
    const struct codebook *codebook = codebook_reprisals();

    return codebook_field_by_name(codebook, codebook_kind_by_name(codebook, "person")->number, name);
}

static struct save_op
set_field(const char *name, const char *text)
{
    const struct codebook_field *field = field_of_person(name);
    struct buf value = { 0 };
    const char *why = "";

    ck_assert_msg(codebook_parse(codebook_reprisals(), field, text, &value, &why) == ERR_OK, "%s", why);
    struct save_op op = { .code = OP_SET,
                          .target = { .collection = field->collection,
                                      .element = { field->collection != 0 },
                                      .field = field->number },
                          .value = arena_copy(&values, buf_span(&value)) };
    buf_free(&value);
    return op;
}

static struct save_op
set_kind(void)
{
    struct buf value = { 0 };

    cbor_put_uint(&value, codebook_kind_by_name(codebook_reprisals(), "person")->number);
    struct save_op op = { .code = OP_SET,
                          .target = { .field = FIELD_KIND },
                          .value = arena_copy(&values, buf_span(&value)) };
    buf_free(&value);
    return op;
}

/* A person with a name, which is L3, in a turn of its own. */
static struct ident
new_person(struct test_node *node, const char *name)
{
    struct save_op ops[] = { set_kind(), set_field("pseudonym", "P-17"), set_field("name.text", name) };
    struct saved saved;
    size_t op;

    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    ck_assert_int_eq(
        replica_save(node->replica,
                     &(struct save){ .compartment = test_compartment(node, node->office, OWN_CASES),
                                     .create = true,
                                     .actor = 1,
                                     .ops = ops,
                                     .op_count = 3 },
                     &saved, &op),
        ERR_OK);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    return saved.record_id;
}

static void
rename_person(struct test_node *node, const struct ident *person, const char *pseudonym)
{
    struct save_op op = set_field("pseudonym", pseudonym);
    struct saved saved;
    size_t at;

    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    ck_assert_int_eq(
        replica_save(node->replica,
                     &(struct save){ .compartment = test_compartment(node, node->office, OWN_CASES),
                                     .record_id = *person,
                                     .actor = 1,
                                     .ops = &op,
                                     .op_count = 1 },
                     &saved, &at),
        ERR_OK);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
}

/* All values of both halves of a record, one after the other. */
static void
read_view(struct test_node *node, const char *office, const struct ident *record, struct buf *out)
{
    struct ident cases = test_compartment(node, office, OWN_CASES);
    struct arena arena = { 0 };
    struct replica_view view;

    buf_clear(out);
    enum err err = replica_read(node->replica, &cases, record, &arena, &view);
    buf_put_u8(out, (uint8_t)err);
    const struct record_view *halves[] = { view.open, view.protected_half };
    for (size_t half = 0; err == ERR_OK && half < 2; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->target_count; n++) {
            const struct record_target *target = &halves[half]->targets[n];

            buf_put_u32(out, target->target.field);
            for (size_t v = 0; v < target->value_count; v++) {
                buf_put_span(out, target->values[v].value);
            }
        }
    }
    arena_free(&arena);
}

static void
expect_same_view(struct test_node *a, struct test_node *b, const char *office, const struct ident *record)
{
    struct buf left = { 0 };
    struct buf right = { 0 };

    read_view(a, office, record, &left);
    read_view(b, office, record, &right);
    ck_assert_uint_gt(left.size, 20);
    ck_assert(span_equal(buf_span(&left), buf_span(&right)));
    buf_free(&left);
    buf_free(&right);
}

static const uint8_t *
digest_of(struct test_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return frontier_digest(store->frontier(store->self, compartment));
}

/* Every compartment that `b` may hold has one digest on both. */
static void
expect_same_digests(struct test_node *a, struct test_node *b)
{
    struct replica_compartment held[32];
    size_t count = replica_compartments(b->replica, held, 32);

    ck_assert_uint_ge(count, 5);
    for (size_t n = 0; n < count; n++) {
        ck_assert_msg(memcmp(digest_of(a, &held[n].id), digest_of(b, &held[n].id), DIGEST_BYTES) == 0, "%s",
                      held[n].name);
        ck_assert_uint_eq(held[n].pending, 0);
    }
}

static void
expect_proven(struct test_node *node)
{
    ck_assert_uint_gt(test_node_prove(node, NULL).checked[PROOF_LOGS], 0);
}

/* --- backups in memory --- */

struct files {
    struct buf main;
    struct buf keys;
    struct key_pair recipient;
    uint64_t lost;
    bool with_evidence;
    struct buf evidence;
    struct backup_progress progress;
};

static enum err
append(void *self, struct span bytes)
{
    buf_put_span(self, bytes);
    return ERR_OK;
}

static struct backup *
begin_backup(struct test_node *node, struct files *files, bool with_device_keys)
{
    static const uint8_t conf[] = "name = \"KEN laptop\"\n";
    const struct backup_note note = { "node.conf", span_of(conf, sizeof conf - 1) };
    struct stream_recipient recipient;
    struct backup *backup = NULL;

    crypto_box_pair(&files->recipient, &node->world.world);
    stream_recipient_of_key(&recipient, files->recipient.public_key);
    ck_assert_int_eq(backup_begin(&backup, node->replica,
                                  &(struct backup_options){ .recipients = &recipient,
                                                            .recipient_count = 1,
                                                            .notes = &note,
                                                            .note_count = 1,
                                                            .with_device_keys = with_device_keys,
                                                            .main = { &files->main, append },
                                                            .keys = { &files->keys, append },
                                                            .with_files = files->with_evidence,
                                                            .files = { &files->evidence, append } }),
                     ERR_OK);
    return backup;
}

static void
end_backup(struct backup **backup, struct files *files)
{
    bool done = false;

    for (int steps = 0; !done; steps++) {
        ck_assert_int_lt(steps, 10000);
        ck_assert_int_eq(backup_step(*backup, &done), ERR_OK);
    }
    struct backup_progress progress = backup_progress(*backup);
    ck_assert_uint_eq(progress.done + progress.lost, progress.all);
    files->lost = progress.lost;
    files->progress = progress;
    backup_close(backup);
}

static void
take_backup(struct test_node *node, struct files *files, bool with_device_keys)
{
    struct backup *backup = begin_backup(node, files, with_device_keys);

    end_backup(&backup, files);
}

static void
files_free(struct files *files)
{
    buf_free(&files->main);
    buf_free(&files->keys);
    buf_free(&files->evidence);
}

struct source {
    struct span bytes;
    size_t at;
    size_t fails_at; /* 0: never */
};

static enum err
take(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct source *source = self;
    size_t left = source->bytes.size - source->at;
    size_t size = left < room ? left : room;

    if (source->fails_at > 0 && source->at >= source->fails_at) {
        return ERR_IO;
    }
    if (size > 0) {
        memcpy(out, source->bytes.data + source->at, size);
    }
    source->at += size;
    *size_out = size;
    return ERR_OK;
}

/* A backup that is being read. */
struct reading {
    struct stream_header headers[2];
    struct key file_key;
    struct source main;
    struct source keys;
    struct restore *restore;
    restore_fault fault;
};

static enum err
open_restore(struct reading *reading, struct span main, struct span keys, const struct key_pair *recipient,
             bool verify)
{
    const struct span bytes[] = { main, keys };
    struct source *sources[] = { &reading->main, &reading->keys };

    for (int n = 0; n < 2; n++) {
        size_t size;
        enum err err = stream_header_read(bytes[n], &reading->headers[n], &size);

        if (err != ERR_OK) {
            return err;
        }
        *sources[n] = (struct source){ .bytes = bytes[n], .at = size, .fails_at = sources[n]->fails_at };
    }
    enum err err = restore_pair(reading->headers, &reading->fault);
    if (err != ERR_OK) {
        return err;
    }
    ck_assert_int_eq(stream_open_box(&reading->headers[0], recipient, &reading->file_key), ERR_OK);
    return restore_open(&reading->restore,
                        &(struct restore_files){ .headers = reading->headers,
                                                 .file_key = &reading->file_key,
                                                 .main = { &reading->main, take },
                                                 .keys = { &reading->keys, take } },
                        verify, &reading->fault);
}

/* Read both to the end: ERR_OK, the statements and what was counted, or why not. */
static enum err
check_files(struct span main, struct span keys, const struct key_pair *recipient, struct buf *statements,
            struct restore_counts *counts)
{
    struct reading reading = { .restore = NULL };
    enum err err = open_restore(&reading, main, keys, recipient, true);

    if (err == ERR_OK) {
        err = restore_check(reading.restore, statements, counts, NULL, NULL, &reading.fault);
    }
    ck_assert(err == ERR_OK || reading.restore != NULL || reading.fault.what != NULL ||
              reading.headers[1].part == 0);
    restore_close(&reading.restore);
    return err;
}

static enum err
apply_files(struct test_node *node, const struct files *files, struct span news, size_t fails_at,
            struct restore_counts *counts)
{
    struct reading reading = { .main = { .fails_at = fails_at } };
    struct buf statements = { 0 };

    ck_assert_int_eq(
        check_files(buf_span(&files->main), buf_span(&files->keys), &files->recipient, &statements, counts),
        ERR_OK);
    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files->main), buf_span(&files->keys), &files->recipient, false),
        ERR_OK);
    enum err err =
        restore_apply(reading.restore, node->replica,
                      &(struct restore_options){ .statements = buf_span(&statements), .news = news }, counts,
                      &reading.fault);
    restore_close(&reading.restore);
    buf_free(&statements);
    return err;
}

/* A machine with nothing on it. */
static struct test_node *
new_machine(const char *office)
{
    struct test_node *node = calloc(1, sizeof *node);

    ck_assert_uint_lt(org.node_count, TEST_NODES_MAX);
    org.nodes[org.node_count] = node;
    org.node_count++;
    test_world_init(&node->world, 7000 + org.node_count);
    (void)snprintf(node->office, sizeof node->office, "%s", office);
    (void)snprintf(node->directory, sizeof node->directory, "%s/machine-%zu", org.directory, org.node_count);
    ck_assert_int_eq(mkdir(node->directory, 0700), 0);
    world_random(&node->world.world, node->storage_key.bytes, KEY_BYTES);
    ck_assert_int_eq(wrap_make(node->directory, &node->storage_key, &node->world.world), ERR_OK);
    node->codebook = codebook_reprisals();
    return node;
}

/* The device that a backup holds the keys of, on a new machine. */
static struct test_node *
restore_device(const char *office, const struct files *files, struct restore_counts *counts)
{
    struct test_node *node = new_machine(office);
    struct reading reading = { .restore = NULL };

    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files->main), buf_span(&files->keys), &files->recipient, false),
        ERR_OK);
    ck_assert(restore_identity(reading.restore, &node->world.world, &node->identity));
    restore_close(&reading.restore);
    ck_assert_int_eq(
        replica_identity_write(node->directory, &node->storage_key, &node->identity, &node->world.world),
        ERR_OK);
    test_node_open(node);
    ck_assert_int_eq(apply_files(node, files, span_of(NULL, 0), 0, counts), ERR_OK);
    return node;
}

/* --- tests --- */

static struct test_node *ken;
static struct test_node *hq;
static struct ident people[6];

/* An office and headquarters that hold the same six people, some of them edited at both. */
static void
make_two(void)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    for (int n = 0; n < 6; n++) {
        people[n] = new_person(ken, MARKER);
    }
    test_node_exchange(ken, hq);
    rename_person(ken, &people[0], "by KEN");
    test_node_exchange(ken, hq);
}

START_TEST(i12_a_restored_replica_has_equal_digests_and_views)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    uint64_t made_ms;

    make_two();
    test_world_pass(&ken->world, 5000);
    take_backup(ken, &files, true);
    ck_assert_uint_eq(files.lost, 0);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(counts.differing, 0);
    ck_assert_uint_eq(counts.payloads_absent, 0);
    expect_same_digests(ken, again);
    expect_proven(again);
    for (int n = 0; n < 6; n++) {
        expect_same_view(ken, again, "KEN", &people[n]);
    }
    ck_assert(replica_is_restored(again->replica, &made_ms));
    ck_assert_uint_eq(made_ms, ken->world.wall_ms);
    /* What it was read from is as it was. */
    ck_assert(!replica_is_restored(ken->replica, NULL));
    expect_proven(ken);
    files_free(&files);
}
END_TEST

START_TEST(i12_a_backup_under_load_is_of_one_moment)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct replica_compartment held[32];
    uint8_t before[32][DIGEST_BYTES];
    struct ident late = { { 0 } };
    struct buf view = { 0 };
    bool done = false;

    make_two();
    for (int n = 0; n < 600; n++) {
        rename_person(ken, &people[n % 6], "P-1");
    }
    size_t count = replica_compartments(ken->replica, held, 32);
    for (size_t n = 0; n < count; n++) {
        memcpy(before[n], held[n].digest, DIGEST_BYTES);
    }
    struct backup *backup = begin_backup(ken, &files, true);
    /* Every log grows between the slices, so that no tip of the beginning keeps its signature. */
    for (int steps = 0; !done; steps++) {
        late = new_person(ken, "late");
        rename_person(ken, &people[steps % 6], "P-2");
        ck_assert_int_eq(backup_step(backup, &done), ERR_OK);
        ck_assert_int_lt(steps, 100);
    }
    ck_assert_uint_eq(backup_progress(backup).lost, 0);
    ck_assert_uint_eq(backup_progress(backup).done, backup_progress(backup).all);
    backup_close(&backup);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert_uint_eq(counts.differing, 0);
    ck_assert_uint_eq(counts.refused, 0);
    for (size_t n = 0; n < count; n++) {
        ck_assert_mem_eq(digest_of(again, &held[n].id), before[n], DIGEST_BYTES);
        ck_assert_uint_eq(journal_pending_count(replica_journal(again->replica), &held[n].id), 0);
    }
    expect_proven(again);
    read_view(again, "KEN", &late, &view);
    ck_assert_uint_eq(view.data[0], ERR_ABSENT);
    read_view(again, "KEN", &people[3], &view);
    ck_assert_uint_eq(view.data[0], ERR_OK);
    /* What it lacks comes from a peer like anything else. */
    test_node_exchange(ken, hq);
    test_node_exchange(again, hq);
    expect_same_view(ken, again, "KEN", &late);
    for (size_t n = 0; n < count; n++) {
        ck_assert_mem_eq(digest_of(again, &held[n].id), digest_of(hq, &held[n].id), DIGEST_BYTES);
    }
    buf_free(&view);
    files_free(&files);
}
END_TEST

/* True if a log of the replica has more than one branch. */
static bool
has_fork(struct test_node *node)
{
    const struct journal *journal = replica_journal(node->replica);

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        if (journal_branch(journal, no)->parent != LOG_NONE) {
            return true;
        }
    }
    return false;
}

START_TEST(i13_a_restored_node_never_signs_a_used_seq)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;

    make_two();
    take_backup(ken, &files, true);
    /* The node lives on after the backup, and only headquarters knows. */
    struct ident after = new_person(ken, "after the backup");
    test_node_exchange(ken, hq);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert(hash_equal(&again->identity.device_id, &ken->identity.device_id));
    ck_assert_mem_ne(again->identity.incarnation, ken->identity.incarnation, 8);
    struct ident offline = new_person(again, "before the first contact");
    test_node_close(again);
    test_node_open(again);
    ck_assert_mem_eq(replica_identity(again->replica)->incarnation, again->identity.incarnation, 8);
    struct ident later = new_person(again, "before the first contact, too");

    test_node_exchange(again, hq);
    test_node_exchange(ken, hq);
    test_node_exchange(again, hq);
    ck_assert(!has_fork(hq));
    ck_assert(!has_fork(ken));
    ck_assert(!has_fork(again));
    expect_same_digests(hq, again);
    expect_same_view(hq, again, "KEN", &offline);
    expect_same_view(hq, again, "KEN", &later);
    expect_same_view(hq, again, "KEN", &after);
    /* And once more from the same files: a third incarnation. */
    struct test_node *third = restore_device("KEN", &files, &counts);
    ck_assert_mem_ne(third->identity.incarnation, again->identity.incarnation, 8);
    (void)new_person(third, "from the third");
    test_node_exchange(third, hq);
    ck_assert(!has_fork(hq));
    files_free(&files);
}
END_TEST

START_TEST(i12_without_device_keys_a_newly_enrolled_device_takes_it_in)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct replica_identity none;
    struct reading reading = { .restore = NULL };

    make_two();
    take_backup(ken, &files, false);
    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files.main), buf_span(&files.keys), &files.recipient, false),
        ERR_OK);
    ck_assert(!restore_identity(reading.restore, &ken->world.world, &none));
    ck_assert(!restore_about(reading.restore)->has_device_keys);
    restore_close(&reading.restore);

    struct test_node *spare = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct buf file = { 0 };
    struct welcome welcome;
    ceremony_fault fault;
    ck_assert_int_eq(ceremony_welcome(org.ceremony, &spare->request, &file, &fault), ERR_OK);
    ck_assert_int_eq(welcome_read(buf_span(&file), &spare->identity.box, &welcome, &fault), ERR_OK);
    spare->identity.org = welcome.org;
    spare->identity.control_key = welcome.control_key;
    ck_assert_int_eq(
        replica_identity_write(spare->directory, &spare->storage_key, &spare->identity, &spare->world.world),
        ERR_OK);
    test_node_open(spare);
    ck_assert_int_eq(replica_found(spare->replica, buf_span(&welcome.statements)), ERR_OK);
    ck_assert_int_eq(apply_files(spare, &files, span_of(NULL, 0), 0, &counts), ERR_OK);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(counts.differing, 0);
    expect_same_digests(ken, spare);
    for (int n = 0; n < 6; n++) {
        expect_same_view(ken, spare, "KEN", &people[n]);
    }
    expect_proven(spare);
    /* It goes on under its own name. */
    test_node_import(&org, hq);
    test_node_tend(spare);
    struct ident own = new_person(spare, "by the spare");
    test_node_exchange(spare, hq);
    test_node_exchange(spare, hq);
    expect_same_view(spare, hq, "KEN", &own);
    welcome_free(&welcome);
    buf_free(&file);
    files_free(&files);
}
END_TEST

START_TEST(i12_both_branches_of_a_fork_are_restored)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct test_node *twin;

    make_two();
    /* A second machine with the very keys and the very incarnation: what nobody should ever do. */
    take_backup(ken, &files, true);
    twin = restore_device("KEN", &files, &counts);
    files_free(&files);
    test_node_close(twin);
    memcpy(twin->identity.incarnation, ken->identity.incarnation, 8);
    ck_assert_int_eq(
        replica_identity_write(twin->directory, &twin->storage_key, &twin->identity, &twin->world.world),
        ERR_OK);
    char path[192];
    (void)snprintf(path, sizeof path, "%s/anchor", twin->directory);
    ck_assert_int_eq(remove(path), 0);
    test_node_open(twin);
    memcpy((uint8_t *)(uintptr_t)replica_identity(twin->replica)->incarnation, ken->identity.incarnation, 8);
    for (int n = 0; n < 70; n++) {
        rename_person(ken, &people[1], "by the one");
        rename_person(twin, &people[1], "by the other");
    }
    test_node_give(ken, hq, false);
    test_node_give(twin, hq, false);
    ck_assert(has_fork(hq));
    files = (struct files){ .lost = 0 };
    take_backup(hq, &files, true);
    struct test_node *again = restore_device("HQ", &files, &counts);
    ck_assert_uint_eq(counts.differing, 0);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert(has_fork(again));
    expect_same_digests(hq, again);
    expect_same_view(hq, again, "KEN", &people[1]);
    expect_proven(again);
    /* Both branches are in what a bundle shows to have come, though more is here by then. */
    struct ident cases = test_compartment(hq, "KEN", OWN_CASES);
    struct bundles_outcome outcome_of_fork;
    struct bundles bundles;
    saves_pseudonym(hq, &cases, &people[2], "after the backup");
    saves_pseudonym(again, &cases, &people[3], "after the restore");
    test_node_give(hq, ken, false);
    ck_assert(has_fork(ken));
    bundles_export_all(ken, again, &bundles);
    bundles_import_all(again, &bundles, &outcome_of_fork);
    ck_assert_int_eq(outcome_of_fork.contact, BUNDLE_CONTACT_COUNTS);
    bundles_free(&bundles);
    saves_free();
    files_free(&files);
}
END_TEST

START_TEST(i12_a_carrier_backs_up_what_it_cannot_read)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    ceremony_fault fault;
    struct ceremony_grant grants[OWN_COUNT];
    size_t count;

    make_two();
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "RELAY", "Relay", false, grants, count, &fault), ERR_OK);
    struct test_node *relay = test_organisation_enrol(&org, "RELAY", LEVEL_CARRY, grants, count);
    test_node_import(&org, hq);
    test_node_join(&org, relay);
    test_node_give(hq, relay, false);
    struct ident cases = test_compartment(relay, "KEN", OWN_CASES);
    ck_assert_uint_gt(journal_entry_count(replica_journal(relay->replica), &cases), 6);
    take_backup(relay, &files, true);
    struct test_node *again = restore_device("RELAY", &files, &counts);
    ck_assert_uint_eq(counts.differing, 0);
    expect_same_digests(relay, again);
    expect_proven(again);
    files_free(&files);
}
END_TEST

START_TEST(newer_statements_come_before_the_records)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct buf news_file = { 0 };
    struct buf news = { 0 };
    struct joining_fault fault;
    struct test_node *machine = new_machine("KEN");
    struct reading reading = { .restore = NULL };

    make_two();
    take_backup(ken, &files, true);
    /* After the backup an office is founded, and a device certified. */
    test_organisation_office(&org, "COL", false);
    struct test_node *col = test_organisation_enrol(&org, "COL", LEVEL_ADMIN, NULL, 0);
    ck_assert_int_eq(ceremony_news(org.ceremony, &news_file), ERR_OK);
    ck_assert_int_eq(statements_read(buf_span(&news_file), &ken->identity.control_key, &news, &fault),
                     ERR_OK);

    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files.main), buf_span(&files.keys), &files.recipient, false),
        ERR_OK);
    ck_assert(restore_identity(reading.restore, &machine->world.world, &machine->identity));
    restore_close(&reading.restore);
    ck_assert_int_eq(replica_identity_write(machine->directory, &machine->storage_key, &machine->identity,
                                            &machine->world.world),
                     ERR_OK);
    test_node_open(machine);
    ck_assert_int_eq(apply_files(machine, &files, buf_span(&news), 0, &counts), ERR_OK);
    ck_assert_ptr_nonnull(roster_device(replica_roster(machine->replica), &col->identity.device_id));
    /* They went into an entry of our own, and before any entry of another compartment. */
    uint64_t own_place = 0;
    uint64_t other_place = 0;
    struct table_txn *txn = NULL;
    ck_assert_int_eq(replica_begin_read(machine->replica, &txn), ERR_OK);
    for (uint64_t place = 1; place <= journal_place_last(replica_journal(machine->replica)); place++) {
        uint32_t log_no;
        uint64_t seq;

        ck_assert_int_eq(journal_at(txn, place, &log_no, &seq), ERR_OK);
        if (log_no == LOG_NONE) {
            continue;
        }
        const struct log_branch *branch = journal_branch(replica_journal(machine->replica), log_no);
        if (memcmp(branch->descriptor.incarnation, machine->identity.incarnation, 8) == 0) {
            own_place = place;
        }
        if (other_place == 0 &&
            !ident_equal(&branch->descriptor.compartment, roster_control(replica_roster(machine->replica)))) {
            other_place = place;
        }
    }
    replica_end_read(machine->replica, &txn);
    ck_assert_uint_gt(own_place, 0);
    ck_assert_uint_gt(other_place, own_place);
    buf_free(&news_file);
    buf_free(&news);
    files_free(&files);
}
END_TEST

START_TEST(a_restore_that_was_cut_off_begins_anew)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct test_node *machine = new_machine("KEN");
    struct reading reading = { .restore = NULL };

    make_two();
    for (int n = 0; n < 2500; n++) {
        rename_person(ken, &people[n % 6], "a pseudonym that is not all that short, to fill the files");
    }
    take_backup(ken, &files, true);
    ck_assert_uint_gt(files.main.size, 3 * STREAM_BLOCK_BYTES);
    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files.main), buf_span(&files.keys), &files.recipient, false),
        ERR_OK);
    ck_assert(restore_identity(reading.restore, &machine->world.world, &machine->identity));
    restore_close(&reading.restore);
    ck_assert_int_eq(replica_identity_write(machine->directory, &machine->storage_key, &machine->identity,
                                            &machine->world.world),
                     ERR_OK);
    test_node_open(machine);
    ck_assert_int_eq(apply_files(machine, &files, span_of(NULL, 0), 2 * STREAM_BLOCK_BYTES, &counts), ERR_IO);
    ck_assert(replica_is_restored(machine->replica, NULL));
    test_node_close(machine);
    test_node_open(machine);
    ck_assert(replica_is_restored(machine->replica, NULL));
    /* A disk that fills up, too. */
    test_world_fail_disk(&machine->world, 6, ERR_FULL);
    ck_assert_int_eq(apply_files(machine, &files, span_of(NULL, 0), 0, &counts), ERR_FULL);
    ck_assert_int_eq(apply_files(machine, &files, span_of(NULL, 0), 0, &counts), ERR_OK);
    ck_assert_uint_eq(counts.differing, 0);
    expect_same_digests(ken, machine);
    expect_same_view(ken, machine, "KEN", &people[5]);
    expect_proven(machine);
    files_free(&files);
}
END_TEST

START_TEST(a_restored_replica_says_so_until_it_is_confirmed)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;

    make_two();
    take_backup(ken, &files, true);
    struct test_node *again = restore_device("KEN", &files, &counts);
    test_node_close(again);
    test_node_open(again);
    ck_assert(replica_is_restored(again->replica, NULL));
    /* A turn that does not happen confirms nothing. */
    ck_assert_int_eq(replica_begin(again->replica), ERR_OK);
    replica_confirm_restored(again->replica);
    ck_assert_int_eq(replica_abort(again->replica), ERR_OK);
    ck_assert(replica_is_restored(again->replica, NULL));
    ck_assert_int_eq(replica_begin(again->replica), ERR_OK);
    replica_confirm_restored(again->replica);
    ck_assert_int_eq(replica_commit(again->replica), ERR_OK);
    ck_assert(!replica_is_restored(again->replica, NULL));
    test_node_close(again);
    test_node_open(again);
    ck_assert(!replica_is_restored(again->replica, NULL));
    files_free(&files);
}
END_TEST

START_TEST(it_is_restored_to_no_other_organisation)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;

    make_two();
    take_backup(ken, &files, true);
    test_node_close(hq);
    memset(hq->identity.org.bytes, 7, HASH_BYTES);
    struct test_node *stranger = new_machine("HQ");
    stranger->identity = hq->identity;
    ck_assert_int_eq(replica_identity_write(stranger->directory, &stranger->storage_key, &stranger->identity,
                                            &stranger->world.world),
                     ERR_OK);
    test_node_open(stranger);
    ck_assert_int_eq(apply_files(stranger, &files, span_of(NULL, 0), 0, &counts), ERR_INVALID);
    ck_assert_uint_eq(journal_branch_count(replica_journal(stranger->replica)), 0);
    ck_assert(!replica_is_restored(stranger->replica, NULL));
    files_free(&files);
}
END_TEST

/* --- what was erased since --- */

/* The signed order to erase one record in both halves, by an admin of each of the two offices. */
static void
order_erasure(struct test_node *holder, const struct ident *person, struct buf *signed_out)
{
    const struct key_pair *const signers[] = { &ken->identity.sign, &hq->identity.sign };
    struct statement statement = { .type = STATEMENT_ERASE, .org = ken->identity.org };
    struct ident halves[] = { test_compartment(holder, "KEN", OWN_CASES),
                              test_compartment(holder, "KEN", OWN_PROTECTED) };
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;
    struct buf items = { 0 };
    struct hash id;

    if (ident_compare(&halves[0], &halves[1]) > 0) {
        struct ident first = halves[1];

        halves[1] = halves[0];
        halves[0] = first;
    }
    ck_assert_int_eq(replica_borrow(holder->replica, &main_txn, &keys_txn), ERR_OK);
    for (int n = 0; n < 2; n++) {
        struct record_key record;
        struct key erase_key;

        ck_assert_int_eq(keys_get_record(keys_txn, &halves[n], person, &record), ERR_OK);
        record_key_erase(&erase_key, &record.key);
        statement_put_erase(&items, &halves[n], &erase_key);
    }
    replica_give_back(holder->replica, &main_txn, &keys_txn);
    world_random(&ken->world.world, statement.random, sizeof statement.random);
    memset(statement.erase.order.bytes, 0xee, IDENT_BYTES);
    statement.erase.keys = statement_list_of(&items, 2);
    ck_assert_int_eq(statement_sign(signed_out, &statement, signers, 2, &id), ERR_OK);
    buf_free(&items);
}

static void
state_in_turn(struct test_node *node, struct span signed_statement)
{
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    ck_assert_int_eq(replica_state(node->replica, signed_statement), ERR_OK);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    test_node_tend(node);
}

/* The sealed payload of a data entry of the record, as it lies in the database of who may read it. */
static void
payload_of(struct test_node *node, const struct ident *person, struct buf *out)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        struct arena arena = { 0 };
        struct signed_change change;
        struct journal_entry stored;
        struct ident record_id;
        uint32_t log_no;
        uint64_t seq;

        ck_assert_int_eq(journal_at(txn, place, &log_no, &seq), ERR_OK);
        if (log_no == LOG_NONE) {
            continue;
        }
        ck_assert_int_eq(journal_read(journal, txn, log_no, seq, &stored), ERR_OK);
        if (stored.entry.kind == ENTRY_DATA && stored.state == STATE_MERGED &&
            replica_open_entry(node->replica, log_no, seq, &arena, &change, &record_id) == ERR_OK &&
            ident_equal(&record_id, person)) {
            ck_assert_int_eq(journal_read(journal, txn, log_no, seq, &stored), ERR_OK);
            buf_clear(out);
            buf_put_span(out, stored.entry.payload);
        }
        arena_free(&arena);
    }
    replica_end_read(node->replica, &txn);
    ck_assert_uint_gt(out->size, 40);
}

/* True if a file of the node's directory holds these bytes. */
static bool
directory_holds(const struct test_node *node, struct span bytes)
{
    static const char *const names[] = { "main", "keys" };
    bool found = false;

    for (int n = 0; n < 2; n++) {
        char path[192];
        struct buf content = { 0 };

        (void)snprintf(path, sizeof path, "%s/%s/data.mdb", node->directory, names[n]);
        ck_assert_int_eq(vault_read_plain(path, 256 << 20, &content), ERR_OK);
        found = found || memmem(content.data, content.size, bytes.data, bytes.size) != NULL;
        buf_free(&content);
    }
    return found;
}

/* How many entries are erased here. */
static uint64_t
count_erased(struct test_node *node)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    uint64_t count = 0;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        enum entry_state state;
        uint32_t log_no;
        uint64_t seq;

        ck_assert_int_eq(journal_at(txn, place, &log_no, &seq), ERR_OK);
        if (log_no == LOG_NONE) {
            continue;
        }
        ck_assert_int_eq(journal_state(journal, txn, log_no, seq, &state), ERR_OK);
        count += state == STATE_ERASED;
    }
    replica_end_read(node->replica, &txn);
    return count;
}

static void
expect_erased(struct test_node *node, const struct ident *person)
{
    struct buf view = { 0 };

    read_view(node, "KEN", person, &view);
    ck_assert_uint_eq(view.data[0], ERR_ABSENT);
    buf_free(&view);
    /* Two key entries and two data entries, headers only. */
    ck_assert_uint_eq(count_erased(node), 4);
}

static struct test_node *
open_device(const struct files *files)
{
    struct test_node *machine = new_machine("KEN");
    struct reading reading = { .restore = NULL };

    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files->main), buf_span(&files->keys), &files->recipient, false),
        ERR_OK);
    ck_assert(restore_identity(reading.restore, &machine->world.world, &machine->identity));
    restore_close(&reading.restore);
    ck_assert_int_eq(replica_identity_write(machine->directory, &machine->storage_key, &machine->identity,
                                            &machine->world.world),
                     ERR_OK);
    test_node_open(machine);
    return machine;
}

START_TEST(w8_a_restore_replays_erasures_before_anything_is_readable)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct buf order = { 0 };
    struct buf news = { 0 };
    struct buf erased = { 0 };
    struct buf kept = { 0 };

    make_two();
    take_backup(ken, &files, true);
    payload_of(ken, &people[2], &erased);
    payload_of(ken, &people[3], &kept);
    order_erasure(ken, &people[2], &order);
    /* Consent is withdrawn after the backup was made: the order comes with the newer statements. */
    cbor_put_array(&news, 1);
    cbor_put_bytes(&news, buf_span(&order));
    struct test_node *machine = open_device(&files);
    ck_assert_int_eq(apply_files(machine, &files, buf_span(&news), 0, &counts), ERR_OK);
    ck_assert_uint_eq(counts.refused, 0);
    expect_erased(machine, &people[2]);
    expect_same_view(ken, machine, "KEN", &people[3]);
    expect_proven(machine);
    /* Not a byte of it was ever written, of a record that is kept all was. */
    ck_assert(directory_holds(machine, buf_span(&kept)));
    ck_assert(!directory_holds(machine, buf_span(&erased)));
    test_node_tend(machine);
    ck_assert(replica_is_caught_up(machine->replica));
    /* A restore that is cut off and begun anew brings nothing back. */
    test_node_close(machine);
    test_node_open(machine);
    ck_assert_int_eq(apply_files(machine, &files, span_of(NULL, 0), 0, &counts), ERR_OK);
    expect_erased(machine, &people[2]);
    ck_assert(!directory_holds(machine, buf_span(&erased)));
    buf_free(&order);
    buf_free(&news);
    buf_free(&erased);
    buf_free(&kept);
    files_free(&files);
}
END_TEST

START_TEST(w8_what_a_backup_brings_back_goes_at_the_first_contact)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct buf order = { 0 };

    make_two();
    take_backup(ken, &files, true);
    order_erasure(ken, &people[2], &order);
    state_in_turn(hq, buf_span(&order));
    expect_erased(hq, &people[2]);
    struct test_node *machine = restore_device("KEN", &files, &counts);
    /* It cannot know yet, and shows nothing (node/serve.c) until it has heard. */
    ck_assert(replica_is_restored(machine->replica, NULL));
    test_node_exchange(machine, hq);
    expect_erased(machine, &people[2]);
    ck_assert(replica_is_caught_up(machine->replica));
    expect_same_digests(hq, machine);
    expect_same_view(hq, machine, "KEN", &people[3]);
    buf_free(&order);
    files_free(&files);
}
END_TEST

/* --- a bundle in the place of a peer --- */

static struct bundles_outcome outcome;

/* Everything of one, to the other. Gives what it is worth to a restored one. */
static enum bundle_contact
carry(struct test_node *from, struct test_node *to, enum bundle_content content)
{
    struct bundles bundles;

    bundles_export(from, &to->identity.device_id, 1, content, UINT32_MAX, &bundles);
    bundles_import_all(to, &bundles, &outcome);
    bundles_free(&bundles);
    return outcome.contact;
}

/* KEN as its backup has it: what it wrote since is at headquarters alone. */
static struct test_node *
restore_behind(struct files *files)
{
    struct restore_counts counts;

    make_two();
    take_backup(ken, files, true);
    rename_person(ken, &people[1], "after the backup");
    test_node_exchange(ken, hq);
    return restore_device("KEN", files, &counts);
}

START_TEST(a_bundle_that_is_younger_than_the_backup_stands_for_a_first_contact)
{
    struct files files = { .lost = 0 };
    struct buf order = { 0 };
    struct test_node *machine = restore_behind(&files);

    order_erasure(ken, &people[2], &order);
    state_in_turn(hq, buf_span(&order));
    /* What it does before that makes no difference. */
    rename_person(machine, &people[3], "before the first contact");
    ck_assert_int_eq(carry(hq, machine, BUNDLE_ALL), BUNDLE_CONTACT_COUNTS);
    /* Its own lost tail is back, and what was erased meanwhile is gone. */
    expect_same_view(hq, machine, "KEN", &people[1]);
    expect_erased(machine, &people[2]);
    ck_assert(replica_is_caught_up(machine->replica));
    ck_assert_uint_eq(
        replica_setbacks(machine->replica).lost_tails + replica_setbacks(machine->replica).incarnations, 0);
    expect_proven(machine);

    /* It is kept until it is worked off, a restart or none; nobody else is asked. */
    ck_assert(!replica_is_answered(machine->replica));
    ck_assert_int_eq(replica_begin(machine->replica), ERR_OK);
    replica_answer_restored(machine->replica);
    ck_assert_int_eq(replica_abort(machine->replica), ERR_OK);
    ck_assert(!replica_is_answered(machine->replica));
    ck_assert_int_eq(replica_begin(machine->replica), ERR_OK);
    replica_answer_restored(machine->replica);
    ck_assert_int_eq(replica_commit(machine->replica), ERR_OK);
    test_node_close(machine);
    test_node_open(machine);
    ck_assert(replica_is_answered(machine->replica));
    ck_assert(replica_is_restored(machine->replica, NULL));
    ck_assert_int_eq(replica_begin(machine->replica), ERR_OK);
    replica_confirm_restored(machine->replica);
    ck_assert_int_eq(replica_commit(machine->replica), ERR_OK);
    ck_assert(!replica_is_restored(machine->replica, NULL));
    ck_assert(!replica_is_answered(machine->replica));
    /* One that was not restored has nothing to be answered. */
    ck_assert_int_eq(replica_begin(hq->replica), ERR_OK);
    replica_answer_restored(hq->replica);
    ck_assert_int_eq(replica_commit(hq->replica), ERR_OK);
    ck_assert(!replica_is_answered(hq->replica));
    ck_assert(!replica_is_restored(hq->replica, NULL));
    buf_free(&order);
    files_free(&files);
}
END_TEST

/* Whatever the clock of its maker said. */
START_TEST(a_bundle_from_before_the_backup_stands_for_nothing)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct bundles before;

    make_two();
    test_world_pass(&hq->world, UINT64_C(400) * 24 * 60 * 60 * 1000);
    bundles_export_all(hq, ken, &before);
    rename_person(ken, &people[1], "before the backup");
    take_backup(ken, &files, true);
    struct test_node *machine = restore_device("KEN", &files, &counts);
    bundles_import_all(machine, &before, &outcome);
    ck_assert_int_eq(outcome.contact, BUNDLE_CONTACT_OLD);
    /* Nor with what this device signs from then on: its maker never had that. */
    rename_person(machine, &people[1], "after the restore");
    bundles_import_all(machine, &before, &outcome);
    ck_assert_int_eq(outcome.contact, BUNDLE_CONTACT_OLD);
    /* A stick to it and one back show it. */
    test_node_exchange(ken, hq);
    ck_assert_int_eq(carry(hq, machine, BUNDLE_ALL), BUNDLE_CONTACT_OLD);
    (void)carry(machine, hq, BUNDLE_ALL);
    ck_assert_int_eq(carry(hq, machine, BUNDLE_ALL), BUNDLE_CONTACT_COUNTS);
    bundles_free(&before);
    files_free(&files);
}
END_TEST

START_TEST(a_bundle_that_leaves_something_out_stands_for_nothing_until_it_is_made_good)
{
    struct files files = { .lost = 0 };
    struct test_node *machine = restore_behind(&files);
    struct bundles whole;
    size_t parts = 0;
    size_t lacking = 0;

    rename_person(machine, &people[3], "before the first contact");
    /* What it leaves out is its own lost tail. */
    ck_assert_int_eq(carry(hq, machine, BUNDLE_RECEIPTS), BUNDLE_CONTACT_LACKS);
    bundles_export_all(hq, machine, &whole);
    ck_assert_uint_eq(whole.count, 1);
    struct buf *file = &whole.files[0];
    /* Damaged in one place after the other. */
    for (size_t at = 0; at < file->size; parts++) {
        size_t size = (size_t)BUNDLE_PIECE_BYTES + bytes_read_u16(file->data + at + BUNDLE_PIECE_BYTES - 2);
        struct span span = buf_span(file);

        file->data[at + size - 1] ^= 1;
        bundles_import_spans(machine, &span, 1, false, &outcome);
        file->data[at + size - 1] ^= 1;
        /* All is here from the first time on. Without its manifest nobody vouches for it, and without the part that says what its
         * maker had of the cases nobody knows what was to come. */
        ck_assert_int_eq(outcome.contact == BUNDLE_CONTACT_NONE, parts == 1);
        lacking += outcome.contact == BUNDLE_CONTACT_LACKS;
        at += size;
    }
    ck_assert_uint_gt(parts, 7);
    ck_assert_uint_ge(lacking, 1);
    ck_assert_uint_le(lacking, 5);
    bundles_import_all(machine, &whole, &outcome);
    ck_assert_int_eq(outcome.contact, BUNDLE_CONTACT_COUNTS);
    bundles_free(&whole);
    files_free(&files);
}
END_TEST

START_TEST(a_bundle_of_nobody_that_is_a_member_stands_for_nothing)
{
    struct files files = { .lost = 0 };
    struct bundles bundles;
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revoke = { 0 };
    struct test_node *machine = restore_behind(&files);

    bundles_export_all(hq, machine, &bundles);
    memcpy(statement.revoke.key, hq->identity.sign.public_key, SIGN_PK_BYTES);
    (void)test_organisation_sign(&org, &statement, "root-1", &revoke);
    test_node_state(machine, buf_span(&revoke));
    bundles_import_all(machine, &bundles, &outcome);
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_REVOKED);
    ck_assert_int_eq(outcome.contact, BUNDLE_CONTACT_NONE);
    bundles_free(&bundles);
    buf_free(&revoke);
    files_free(&files);
}
END_TEST

START_TEST(w8_an_erasure_in_the_midst_of_a_backup_is_in_it)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct buf order = { 0 };
    struct buf erased = { 0 };
    bool done = false;

    make_two();
    for (int n = 0; n < 600; n++) {
        rename_person(ken, &people[4], "P-1");
    }
    order_erasure(ken, &people[2], &order);
    payload_of(ken, &people[2], &erased);
    struct backup *backup = begin_backup(ken, &files, true);
    ck_assert_int_eq(backup_step(backup, &done), ERR_OK);
    ck_assert(!done);
    state_in_turn(ken, buf_span(&order));
    end_backup(&backup, &files);
    ck_assert_uint_eq(files.lost, 0);
    struct test_node *machine = restore_device("KEN", &files, &counts);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(counts.differing, 0);
    expect_erased(machine, &people[2]);
    ck_assert(!directory_holds(machine, buf_span(&erased)));
    /* And one that was made after it. */
    files_free(&files);
    files = (struct files){ .lost = 0 };
    take_backup(ken, &files, true);
    ck_assert_uint_eq(files.lost, 0);
    machine = restore_device("KEN", &files, &counts);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(counts.differing, 0);
    ck_assert_uint_eq(counts.payloads_absent, 2);
    expect_erased(machine, &people[2]);
    expect_same_digests(ken, machine);
    expect_same_view(ken, machine, "KEN", &people[3]);
    expect_proven(machine);
    buf_free(&order);
    buf_free(&erased);
    files_free(&files);
}
END_TEST

/* --- what the files show --- */

static bool
holds(struct span haystack, const void *needle, size_t size)
{
    return memmem(haystack.data, haystack.size, needle, size) != NULL;
}

/* The text of one of the files. */
static void
read_text(struct span file, const struct key_pair *recipient, struct buf *out)
{
    struct stream_header header;
    struct stream_reader *reader = NULL;
    struct key file_key;
    uint8_t byte;
    size_t size;

    ck_assert_int_eq(stream_header_read(file, &header, &size), ERR_OK);
    ck_assert_int_eq(stream_open_box(&header, recipient, &file_key), ERR_OK);
    struct source source = { .bytes = file, .at = size };
    ck_assert_int_eq(stream_reader_open(&reader, &header, &file_key, (struct stream_input){ &source, take }),
                     ERR_OK);
    while (stream_read(reader, &byte, 1) == ERR_OK) {
        buf_put_u8(out, byte);
    }
    stream_reader_close(&reader);
}

START_TEST(c1_the_main_file_alone_holds_no_key_and_no_text)
{
    struct files files = { .lost = 0 };
    struct buf main = { 0 };
    struct buf keys = { 0 };
    struct restore_counts counts;
    const struct replica_identity *own;

    make_two();
    own = replica_identity(ken->replica);
    take_backup(ken, &files, true);
    read_text(buf_span(&files.main), &files.recipient, &main);
    read_text(buf_span(&files.keys), &files.recipient, &keys);
    ck_assert(!holds(buf_span(&main), MARKER, sizeof MARKER - 1));
    ck_assert(!holds(buf_span(&keys), MARKER, sizeof MARKER - 1));
    ck_assert(!holds(buf_span(&main), own->control_key.bytes, KEY_BYTES));
    ck_assert(holds(buf_span(&keys), own->control_key.bytes, KEY_BYTES));
    ck_assert(!holds(buf_span(&main), own->sign.secret_key, 32));
    ck_assert(holds(buf_span(&keys), own->sign.secret_key, 32));
    /* A record key's own entry is one of .keys. */
    ck_assert_int_eq(
        check_files(buf_span(&files.main), buf_span(&files.keys), &files.recipient, NULL, &counts), ERR_OK);
    ck_assert_uint_gt(counts.entries, 20);
    ck_assert_uint_eq(counts.payloads_absent, 0);
    /* Who is in the organisation shows to those who open it, and nothing to anybody else. */
    ck_assert(holds(buf_span(&main), "Test organisation", 17));
    ck_assert(!holds(buf_span(&files.main), "Test organisation", 17));
    ck_assert(!holds(buf_span(&files.main), own->sign.public_key, 32));
    ck_assert(!holds(buf_span(&files.keys), own->sign.public_key, 32));
    buf_clear(&keys);
    files_free(&files);
    files = (struct files){ .lost = 0 };
    take_backup(ken, &files, false);
    read_text(buf_span(&files.keys), &files.recipient, &keys);
    ck_assert(!holds(buf_span(&keys), own->sign.secret_key, 32));
    ck_assert(!holds(buf_span(&keys), own->box.secret_key, 32));
    buf_free(&main);
    buf_free(&keys);
    files_free(&files);
}
END_TEST

START_TEST(it_opens_with_the_key_of_the_office)
{
    struct files files = { .lost = 0 };
    struct stream_header header;
    struct key file_key;
    ceremony_fault fault = { 0 };
    size_t size;

    make_two();
    take_backup(ken, &files, false);
    ck_assert_int_eq(stream_header_read(buf_span(&files.main), &header, &size), ERR_OK);
    ck_assert_uint_eq(header.recipient_count, 2);
    ck_assert_int_eq(ceremony_open_backup(org.ceremony, "office-KEN", &header, &file_key, &fault), ERR_OK);
    ck_assert(stream_key_fits(&header, &file_key));
    ck_assert_int_eq(ceremony_open_backup(org.ceremony, "office-HQ", &header, &file_key, &fault), ERR_LOCKED);
    ck_assert(!stream_key_fits(&header, &file_key));
    ck_assert_int_eq(ceremony_open_backup(org.ceremony, "office-COL", &header, &file_key, &fault),
                     ERR_ABSENT);
    ck_assert_ptr_nonnull(fault.todo);
    files_free(&files);
}
END_TEST

START_TEST(files_of_different_backups_are_no_pair)
{
    struct files first = { .lost = 0 };
    struct files second = { .lost = 0 };
    struct restore_counts counts;

    make_two();
    take_backup(ken, &first, false);
    take_backup(ken, &second, false);
    ck_assert_int_eq(
        check_files(buf_span(&first.main), buf_span(&second.keys), &first.recipient, NULL, &counts),
        ERR_INVALID);
    ck_assert_int_eq(
        check_files(buf_span(&first.keys), buf_span(&first.main), &first.recipient, NULL, &counts),
        ERR_INVALID);
    ck_assert_int_eq(
        check_files(buf_span(&first.main), buf_span(&first.main), &first.recipient, NULL, &counts),
        ERR_INVALID);
    ck_assert_int_eq(
        check_files(buf_span(&first.main), buf_span(&first.keys), &first.recipient, NULL, &counts), ERR_OK);
    files_free(&first);
    files_free(&second);
}
END_TEST

START_TEST(files_that_are_cut_short_or_damaged_are_refused_whole)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;

    make_two();
    take_backup(ken, &files, false);
    for (int part = 0; part < 2; part++) {
        struct buf *file = part == 0 ? &files.main : &files.keys;
        size_t whole = file->size;

        for (size_t cut = 1000; cut < whole; cut += whole / 40) {
            file->size = cut;
            ck_assert_int_eq(
                check_files(buf_span(&files.main), buf_span(&files.keys), &files.recipient, NULL, &counts),
                ERR_CORRUPT);
        }
        file->size = whole;
        for (size_t at = 1000; at < whole; at += whole / 40) {
            file->data[at] ^= 4;
            ck_assert_int_eq(
                check_files(buf_span(&files.main), buf_span(&files.keys), &files.recipient, NULL, &counts),
                ERR_CORRUPT);
            file->data[at] ^= 4;
        }
    }
    files_free(&files);
}
END_TEST

/* --- what is damaged in the replica --- */

START_TEST(what_is_damaged_is_left_out_and_counted)
{
    struct files files = { .lost = 0 };
    struct restore_counts counts;
    struct table_txn *txn = NULL;
    uint32_t log_no = 0;

    make_two();
    for (int n = 0; n < 200; n++) {
        rename_person(ken, &people[0], "P-1");
    }
    /* The row of an entry in the middle of a log goes. */
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    for (uint32_t no = 1; no <= journal_branch_count(replica_journal(ken->replica)); no++) {
        const struct log_branch *branch = journal_branch(replica_journal(ken->replica), no);

        if (ident_equal(&branch->descriptor.compartment, &cases) && branch->descriptor.lane == LANE_NORMAL) {
            log_no = no;
        }
    }
    ck_assert_uint_ne(log_no, 0);
    uint64_t next = journal_branch(replica_journal(ken->replica), log_no)->next_seq;
    ck_assert_uint_gt(next, 200);
    uint8_t key[12];
    bytes_write_u32(key, log_no);
    bytes_write_u64(key + 4, 150);
    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert(table_delete(txn, TABLE_ENT, span_of(key, sizeof key)));
    replica_end_read(ken->replica, &txn);
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
    test_node_close(ken);
    test_node_open(ken);

    take_backup(ken, &files, true);
    ck_assert_uint_gt(files.lost, next - 150 - 1);
    ck_assert_uint_lt(files.lost, next - 150 + RUN_ENTRIES_MAX);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(counts.differing, 1);
    for (int n = 0; n < 6; n++) {
        struct buf view = { 0 };

        read_view(again, "KEN", &people[n], &view);
        ck_assert_uint_eq(view.data[0], ERR_OK);
        buf_free(&view);
    }
    expect_proven(again);
    /* A peer gives back what it lacks. */
    test_node_exchange(again, hq);
    files_free(&files);
}
END_TEST

/* --- the file key, handed on --- */

START_TEST(the_file_key_is_handed_on_to_one_device)
{
    struct test_world world;
    struct stream_recipient recipient;
    struct stream_header header;
    struct stream_header other;
    struct key_pair device;
    struct key_pair stranger;
    struct key file_key;
    struct key opened;
    struct ident pair_id = { { 1 } };
    struct ident other_id = { { 2 } };
    struct buf file = { 0 };
    struct joining_fault fault;

    test_world_init(&world, 5);
    crypto_box_pair(&device, &world.world);
    crypto_box_pair(&stranger, &world.world);
    world_random(&world.world, file_key.bytes, KEY_BYTES);
    stream_recipient_of_key(&recipient, stranger.public_key);
    ck_assert_int_eq(
        stream_header_make(&header, STREAM_MAIN, &pair_id, &file_key, &recipient, 1, &world.world), ERR_OK);
    ck_assert_int_eq(
        stream_header_make(&other, STREAM_MAIN, &other_id, &file_key, &recipient, 1, &world.world), ERR_OK);
    ck_assert_int_eq(backup_key_write(&file, &pair_id, &file_key, device.public_key, &world.world), ERR_OK);
    ck_assert_int_eq(backup_key_read(buf_span(&file), &header, &device, &opened, &fault), ERR_OK);
    ck_assert_mem_eq(opened.bytes, file_key.bytes, KEY_BYTES);
    ck_assert_int_eq(backup_key_read(buf_span(&file), &header, &stranger, &opened, &fault), ERR_LOCKED);
    ck_assert_int_eq(backup_key_read(buf_span(&file), &other, &device, &opened, &fault), ERR_INVALID);
    ck_assert_str_eq(fault.why, "it is of another backup");
    /* Every byte of it matters. */
    for (size_t n = 0; n < file.size; n++) {
        uint8_t before = file.data[n];

        file.data[n] = before == 'A' ? 'B' : 'A';
        enum err err = backup_key_read(buf_span(&file), &header, &device, &opened, &fault);
        ck_assert_msg(err == ERR_INVALID || err == ERR_LOCKED || err == ERR_NEWER, "byte %zu gives %s", n,
                      err_code(err));
        ck_assert_ptr_nonnull(fault.todo);
        file.data[n] = before;
        ck_assert_int_ne(backup_key_read(span_of(file.data, n), &header, &device, &opened, &fault),
                         n + 1 < file.size ? ERR_OK : ERR_COUNT);
    }
    /* A key that is none of this backup, sealed by somebody else. */
    buf_clear(&file);
    memset(opened.bytes, 9, KEY_BYTES);
    ck_assert_int_eq(backup_key_write(&file, &pair_id, &opened, device.public_key, &world.world), ERR_OK);
    ck_assert_int_eq(backup_key_read(buf_span(&file), &header, &device, &opened, &fault), ERR_INVALID);
    buf_free(&file);
}
END_TEST

START_TEST(what_a_backup_says_of_itself_has_one_encoding)
{
    struct backup_digest digests[] = { { .compartment = { { 1 } } }, { .compartment = { { 2 } } } };
    struct backup_about about = { .made_ms = UINT64_C(1767225600000),
                                  .has_device_keys = true,
                                  .entry_count = 70000,
                                  .organisation = "Defenders Network",
                                  .device = "KEN laptop",
                                  .digests = digests,
                                  .digest_count = 2 };
    struct backup_about read;
    struct buf body = { 0 };

    memset(about.org.bytes, 3, HASH_BYTES);
    backup_about_write(&body, &about);
    ck_assert_int_eq(backup_about_read(buf_span(&body), &read), ERR_OK);
    ck_assert(hash_equal(&read.org, &about.org));
    ck_assert_uint_eq(read.made_ms, about.made_ms);
    ck_assert_uint_eq(read.entry_count, 70000);
    ck_assert(read.has_device_keys);
    ck_assert_str_eq(read.organisation, "Defenders Network");
    ck_assert_str_eq(read.device, "KEN laptop");
    ck_assert_uint_eq(read.digest_count, 2);
    ck_assert(ident_equal(&read.digests[1].compartment, &digests[1].compartment));
    backup_about_free(&read);
    for (size_t size = 0; size < body.size; size++) {
        ck_assert_int_eq(backup_about_read(span_of(body.data, size), &read), ERR_CORRUPT);
    }
    buf_put_u8(&body, 0);
    ck_assert_int_eq(backup_about_read(buf_span(&body), &read), ERR_CORRUPT);
    buf_free(&body);
}
END_TEST

/* --- evidence files --- */

enum {
    PICTURE = 1,
    FILM = 2,
    PICTURE_BYTES = 3 * BLOB_CHUNK_BYTES + 9,
    FILM_BYTES = 300 * BLOB_CHUNK_BYTES + 9
};

static struct blob_made picture;
static struct blob_made film;

static enum err
rewind_source(void *self)
{
    ((struct source *)self)->at = 0;
    return ERR_OK;
}

/* Take the evidence of a backup in, or only look at it. */
static enum err
take_evidence(struct test_node *node, const struct files *files, struct span evidence, bool apply,
              struct restore_files_counts *counts)
{
    struct reading reading = { .restore = NULL };
    struct source source = { .bytes = evidence };
    const struct bundle_source in = { &source, take, rewind_source };

    ck_assert_int_eq(
        open_restore(&reading, buf_span(&files->main), buf_span(&files->keys), &files->recipient, false),
        ERR_OK);
    enum err err = apply ? restore_files_apply(node->replica, &reading.file_key, &reading.headers[0].pair_id,
                                               &in, counts)
                         : restore_files_check(&reading.file_key, &reading.headers[0].pair_id, &in, counts);
    restore_close(&reading.restore);
    return err;
}

/* An office with a picture and a film, and a backup of it. */
static void
back_up_evidence(struct files *files, struct ident *person_out)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);

    *person_out = pictures_add(ken, &cases, PICTURE, PICTURE_BYTES, &picture);
    (void)pictures_add(ken, &cases, FILM, FILM_BYTES, &film);
    take_backup(ken, files, true);
}

START_TEST(evidence_goes_into_a_file_of_its_own_and_comes_back_whole)
{
    struct files files = { .with_evidence = true };
    struct restore_counts counts;
    struct restore_files_counts taken;
    struct ident person;

    back_up_evidence(&files, &person);
    ck_assert_uint_eq(files.progress.files_here, 2);
    ck_assert_uint_eq(files.progress.files, 2);
    ck_assert_uint_eq(files.progress.file_bytes, (uint64_t)(4 + 301) * BLOB_SEALED_BYTES);
    /* Nothing in it names them, and it is sealed. */
    ck_assert_ptr_null(memmem(files.evidence.data, files.evidence.size, film.address.bytes, HASH_BYTES));
    ck_assert_ptr_null(memmem(files.main.data, files.main.size, film.address.bytes, HASH_BYTES));
    ck_assert_int_eq(take_evidence(NULL, &files, buf_span(&files.evidence), false, &taken), ERR_OK);
    ck_assert(taken.whole);
    ck_assert_uint_eq(taken.names, 2);

    test_node_close(ken);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert(!pictures_is_whole(again, &film.address));
    ck_assert_uint_eq(pictures_held(again, &film.address), 0);
    ck_assert_int_eq(take_evidence(again, &files, buf_span(&files.evidence), true, &taken), ERR_OK);
    ck_assert_uint_eq(taken.parts.taken, 4 + 301);
    ck_assert_uint_eq(taken.parts.refused + taken.parts.waiting + taken.parts.unwanted, 0);
    pictures_expect(again, &picture, PICTURE);
    pictures_expect(again, &film, FILM);
    /* Again takes nothing. */
    ck_assert_int_eq(take_evidence(again, &files, buf_span(&files.evidence), true, &taken), ERR_OK);
    ck_assert_uint_eq(taken.parts.taken, 0);
    ck_assert_uint_eq(taken.parts.held, 4 + 301);
    files_free(&files);
}
END_TEST

START_TEST(what_is_damaged_of_evidence_costs_its_place_and_no_record)
{
    struct files files = { .with_evidence = true };
    struct files other = { .with_evidence = true };
    struct restore_counts counts;
    struct restore_files_counts taken;
    struct ident person;

    back_up_evidence(&files, &person);
    take_backup(ken, &other, true);
    for (size_t at = 200000; at < files.evidence.size; at += 500000) {
        files.evidence.data[at] ^= 1;
    }
    struct span cut = span_of(files.evidence.data, files.evidence.size - 300);
    ck_assert_int_eq(take_evidence(NULL, &files, cut, false, &taken), ERR_OK);
    ck_assert(!taken.whole);
    test_node_close(ken);
    struct test_node *again = restore_device("KEN", &files, &counts);
    ck_assert_int_eq(take_evidence(again, &files, cut, true, &taken), ERR_OK);
    ck_assert_uint_ge(taken.parts.taken, 4 + 301 - 5);
    ck_assert_uint_lt(taken.parts.taken, 4 + 301);
    pictures_expect(again, &picture, PICTURE);
    ck_assert_uint_eq(pictures_held(again, &film.address) + 4, taken.parts.taken);
    ck_assert(!pictures_is_whole(again, &film.address));
    /* That of another backup opens with another key. */
    ck_assert_int_eq(take_evidence(again, &files, buf_span(&other.evidence), true, &taken), ERR_INVALID);
    ck_assert_int_eq(take_evidence(again, &files, buf_span(&files.main), true, &taken), ERR_INVALID);
    files_free(&files);
    files_free(&other);
}
END_TEST

START_TEST(a_restore_without_evidence_says_that_it_is_not_here_and_peers_bring_it)
{
    struct files files = { .with_evidence = false };
    struct restore_counts counts;
    struct bundles bundles;
    struct ident person;

    back_up_evidence(&files, &person);
    ck_assert_uint_eq(files.evidence.size, 0);
    ck_assert_uint_eq(files.progress.files_here, 2);
    ck_assert_uint_eq(files.progress.files, 0);
    bundles_export_files(ken, hq, BUNDLE_ALL, BUNDLE_FILES_ALL, UINT32_MAX, &bundles);
    bundles_import_all(hq, &bundles, &outcome);
    bundles_free(&bundles);
    test_node_close(ken);

    struct test_node *again = restore_device("KEN", &files, &counts);
    struct shelf_totals totals;
    struct table_txn *txn = NULL;
    ck_assert_int_eq(replica_begin_read(again->replica, &txn), ERR_OK);
    shelf_total(txn, &totals);
    replica_end_read(again->replica, &txn);
    ck_assert_uint_eq(totals.whole_count, 0);
    ck_assert_uint_eq(totals.part_count, 0);
    ck_assert_uint_eq(totals.wanted_count, 2);
    bundles_export_files(hq, again, BUNDLE_ALL, BUNDLE_FILES_ALL, UINT32_MAX, &bundles);
    bundles_import_all(again, &bundles, &outcome);
    bundles_free(&bundles);
    pictures_expect(again, &picture, PICTURE);
    pictures_expect(again, &film, FILM);
    files_free(&files);
}
END_TEST

SUITE_MAIN_WITH("backup", setup, teardown, i12_a_restored_replica_has_equal_digests_and_views,
                i12_a_backup_under_load_is_of_one_moment, i13_a_restored_node_never_signs_a_used_seq,
                i12_without_device_keys_a_newly_enrolled_device_takes_it_in,
                i12_both_branches_of_a_fork_are_restored, i12_a_carrier_backs_up_what_it_cannot_read,
                newer_statements_come_before_the_records, a_restore_that_was_cut_off_begins_anew,
                a_restored_replica_says_so_until_it_is_confirmed, it_is_restored_to_no_other_organisation,
                c1_the_main_file_alone_holds_no_key_and_no_text, it_opens_with_the_key_of_the_office,
                files_of_different_backups_are_no_pair, files_that_are_cut_short_or_damaged_are_refused_whole,
                what_is_damaged_is_left_out_and_counted,
                w8_a_restore_replays_erasures_before_anything_is_readable,
                w8_what_a_backup_brings_back_goes_at_the_first_contact,
                a_bundle_that_is_younger_than_the_backup_stands_for_a_first_contact,
                a_bundle_from_before_the_backup_stands_for_nothing,
                a_bundle_that_leaves_something_out_stands_for_nothing_until_it_is_made_good,
                a_bundle_of_nobody_that_is_a_member_stands_for_nothing,
                w8_an_erasure_in_the_midst_of_a_backup_is_in_it, the_file_key_is_handed_on_to_one_device,
                what_a_backup_says_of_itself_has_one_encoding,
                evidence_goes_into_a_file_of_its_own_and_comes_back_whole,
                what_is_damaged_of_evidence_costs_its_place_and_no_record,
                a_restore_without_evidence_says_that_it_is_not_here_and_peers_bring_it)
