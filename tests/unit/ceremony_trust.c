/* ceremony_trust.c - roots that lie with different people, and keys that are lost, stolen or replaced. */
#include "sync/ceremony.h"
#include "store/base/cbor.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct vault_work least_work = { 1, UINT64_C(64) << 20 };

enum { ROOM_COUNT = 3, PATH_BYTES = 256 };

static struct test_world world;
static char base[64];
static const char *wrong; /* a key whose passphrase is mistyped */
static char in_question[CEREMONY_KEY_NAME_BYTES_MAX];
static ceremony_fault fault;

/* Every key has a passphrase of its own. */
static enum err
answer(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)self;
    (void)fresh;
    buf_put_text(passphrase_out, wrong != NULL && strcmp(key_name, wrong) == 0 ? "wrong" : "pass ");
    buf_put_text(passphrase_out, key_name);
    return ERR_OK;
}

/* The rooms of three people: each has a directory. */
static const char *
room(int number)
{
    static char paths[ROOM_COUNT][PATH_BYTES];

    (void)snprintf(paths[number], PATH_BYTES, "%s/%d", base, number);
    return paths[number];
}

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 16);
    (void)snprintf(base, sizeof base, "/tmp/vigil-trust-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    for (int n = 0; n < ROOM_COUNT; n++) {
        ck_assert_int_eq(mkdir(room(n), 0700), 0);
    }
    wrong = NULL;
    in_question[0] = '\0';
    fault = (ceremony_fault){ NULL, NULL, NULL };
}

static int
remove_one(const char *path, const struct stat *stat, int flag, struct FTW *where)
{
    (void)stat;
    (void)flag;
    (void)where;
    return remove(path);
}

static void
teardown(void)
{
    (void)nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct ceremony_options
options(int number)
{
    return (struct ceremony_options){ .directory = room(number),
                                      .world = &world.world,
                                      .work = &least_work,
                                      .ask = answer,
                                      .key_in_question = in_question };
}

/* A stick that goes from room to room. */
static void
carry(int from, int to, const char *name, bool leave_one)
{
    char source[PATH_BYTES + 64];
    char target[PATH_BYTES + 64];
    struct buf file = { 0 };

    (void)snprintf(source, sizeof source, "%s/%s", room(from), name);
    (void)snprintf(target, sizeof target, "%s/%s", room(to), name);
    ck_assert_int_eq(vault_read_plain(source, 1 << 20, &file), ERR_OK);
    ck_assert_int_eq(vault_write_plain(target, buf_span(&file)), ERR_OK);
    buf_free(&file);
    if (!leave_one) {
        ck_assert_int_eq(unlink(source), 0);
    }
}

#define STATEMENTS "organisation.statements"

static struct ceremony *
found_in_room(uint32_t roots, uint32_t needed)
{
    struct ceremony_options how = options(0);
    struct ceremony *ceremony = NULL;

    ck_assert_int_eq(ceremony_found(&ceremony, &how, "Network", roots, needed, &fault), ERR_OK);
    return ceremony;
}

static struct ceremony *
open_in(int number, const char *key)
{
    struct ceremony_options how = options(number);
    struct ceremony *ceremony = NULL;
    enum err err = ceremony_open(&ceremony, &how, key, &fault);

    ck_assert_msg(err == ERR_OK, "%s: %s", fault.what, fault.why);
    return ceremony;
}

static void
save(struct ceremony **ceremony)
{
    ck_assert_int_eq(ceremony_save(*ceremony, &fault), ERR_OK);
    ceremony_close(ceremony);
}

/* The keys of a device that asks to join, and its request. */
struct applicant {
    struct key_pair sign;
    struct key_pair box;
    struct request request;
};

static struct applicant
apply(const char *name)
{
    struct applicant applicant = { .request = { .incarnation = { 1 } } };
    struct key_pair transport;
    struct buf file = { 0 };

    crypto_sign_pair(&applicant.sign, &world.world);
    crypto_box_pair(&applicant.box, &world.world);
    crypto_box_pair(&transport, &world.world);
    (void)snprintf(applicant.request.name, sizeof applicant.request.name, "%s", name);
    memcpy(applicant.request.sign_pk, applicant.sign.public_key, 32);
    memcpy(applicant.request.box_pk, applicant.box.public_key, 32);
    memcpy(applicant.request.transport_pk, transport.public_key, 32);
    request_write(&file, &applicant.request, &applicant.sign);
    buf_free(&file);
    return applicant;
}

static void
enrol(struct ceremony *ceremony, const char *code, const struct applicant *applicant, enum level level)
{
    ck_assert_int_eq(ceremony_office(ceremony, code, code, false, NULL, 0, &fault), ERR_OK);
    ck_assert_int_eq(
        ceremony_device(ceremony, code, &applicant->request, level, ROLE_CASE_WORK, NULL, 0, &fault), ERR_OK);
}

static bool
lives(const struct ceremony *ceremony, const struct applicant *applicant)
{
    return roster_device_by_sign_pk(ceremony_roster(ceremony), applicant->sign.public_key) != NULL;
}

static enum level
level_of(const struct ceremony *ceremony, const struct applicant *applicant, const char *compartment)
{
    const struct roster *roster = ceremony_roster(ceremony);
    const struct roster_compartment *there = roster_compartment_by_name(roster, compartment);

    ck_assert_ptr_nonnull(there);
    return roster_level(roster, roster_device_by_sign_pk(roster, applicant->sign.public_key), &there->id);
}

static size_t
waiting_count(const struct ceremony *ceremony)
{
    return ceremony_waiting(ceremony, NULL, 0);
}

/* Sign all that waits. */
static void
sign_all(struct ceremony *ceremony)
{
    struct ceremony_waiting waiting[16];
    size_t count = ceremony_waiting(ceremony, waiting, 16);

    ck_assert_uint_gt(count, 0);
    ck_assert_uint_le(count, 16);
    for (size_t n = 0; n < count; n++) {
        ck_assert_uint_lt(waiting[n].signed_count, waiting[n].needed);
        ck_assert_int_eq(ceremony_sign(ceremony, &waiting[n].stmt_id, &fault), ERR_OK);
    }
}

static size_t
merge_from(struct ceremony *ceremony, int number)
{
    char path[PATH_BYTES + 64];
    struct buf file = { 0 };
    size_t count = 0;

    (void)snprintf(path, sizeof path, "%s/" STATEMENTS, room(number));
    ck_assert_int_eq(vault_read_plain(path, 1 << 20, &file), ERR_OK);
    ck_assert_int_eq(ceremony_merge(ceremony, buf_span(&file), &count, &fault), ERR_OK);
    buf_free(&file);
    return count;
}

/* 2 of 3 roots, each in a room of its own; KEN with one laptop. The office's key is in room 0. */
static struct applicant
found_apart(void)
{
    struct ceremony *ceremony = found_in_room(3, 2);
    struct applicant ken = apply("ken-1");

    enrol(ceremony, "KEN", &ken, LEVEL_ADMIN);
    save(&ceremony);
    carry(0, 1, "root-2.key", false);
    carry(0, 2, "root-3.key", false);
    carry(0, 1, STATEMENTS, true);
    carry(0, 2, STATEMENTS, true);
    return ken;
}

/* --- signatures --- */

START_TEST(what_one_root_signed_waits_until_another_person_signs_elsewhere)
{
    found_apart();
    struct ceremony *ceremony = open_in(0, NULL);
    struct ceremony_waiting waiting[2];

    ck_assert_uint_eq(waiting_count(ceremony), 0);
    ck_assert_int_eq(ceremony_office(ceremony, "COL", "Colombia", false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    ck_assert_ptr_null(roster_office_by_code(ceremony_roster(ceremony), "COL"));
    ck_assert_uint_eq(ceremony_waiting(ceremony, waiting, 2), 1);
    ck_assert_uint_eq(waiting[0].type, STATEMENT_OFFICE);
    ck_assert_uint_eq(waiting[0].signed_count, 1);
    ck_assert_uint_eq(waiting[0].needed, 2);
    /* Whoever signed cannot sign for another. */
    ck_assert_int_eq(ceremony_sign(ceremony, &waiting[0].stmt_id, &fault), ERR_DENIED);
    save(&ceremony);
    carry(0, 1, STATEMENTS, true);
    ceremony = open_in(1, NULL);
    ck_assert_uint_eq(waiting_count(ceremony), 1);
    sign_all(ceremony);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    ck_assert_uint_eq(waiting_count(ceremony), 0);
    ck_assert_ptr_nonnull(roster_office_by_code(ceremony_roster(ceremony), "COL"));
    save(&ceremony);
    ceremony = open_in(0, NULL);
    ck_assert_ptr_null(roster_office_by_code(ceremony_roster(ceremony), "COL"));
    ck_assert_uint_eq(merge_from(ceremony, 1), 1);
    ck_assert_ptr_nonnull(roster_office_by_code(ceremony_roster(ceremony), "COL"));
    ck_assert_uint_eq(merge_from(ceremony, 1), 0);
    ck_assert_int_eq(ceremony_sign(ceremony, &waiting[0].stmt_id, &fault), ERR_ABSENT);
    ceremony_close(&ceremony);
}
END_TEST

/* Three of three: two add their signatures to copies of one statement, apart; the copies unite to what counts. */
START_TEST(copies_that_were_signed_apart_unite)
{
    struct ceremony *ceremony = found_in_room(3, 3);

    save(&ceremony);
    carry(0, 1, "root-2.key", false);
    carry(0, 2, "root-3.key", false);
    ceremony = open_in(0, NULL);
    ck_assert_int_eq(ceremony_office(ceremony, "KEN", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 2);
    save(&ceremony);
    for (int n = 1; n <= 2; n++) {
        carry(0, n, STATEMENTS, true);
        ceremony = open_in(n, NULL);
        sign_all(ceremony);
        ck_assert_uint_eq(ceremony_missing(ceremony), 1);
        ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 0);
        save(&ceremony);
    }
    ceremony = open_in(2, NULL);
    ck_assert_uint_eq(merge_from(ceremony, 1), 1);
    ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 1);
    ck_assert_uint_eq(waiting_count(ceremony), 0);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(the_same_said_twice_is_one_statement)
{
    found_apart();
    struct ceremony *ceremony = open_in(0, NULL);

    ck_assert_int_eq(ceremony_office(ceremony, "COL", NULL, false, NULL, 0, &fault), ERR_OK);
    save(&ceremony);
    carry(0, 1, STATEMENTS, true);
    ceremony = open_in(1, NULL);
    size_t count = roster_statement_count(ceremony_roster(ceremony));
    ck_assert_int_eq(ceremony_office(ceremony, "COL", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    ck_assert_uint_eq(roster_statement_count(ceremony_roster(ceremony)), count);
    ck_assert_ptr_nonnull(roster_office_by_code(ceremony_roster(ceremony), "COL"));
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(headquarters_get_an_office_that_waited)
{
    struct ceremony *ceremony = found_in_room(2, 2);
    struct applicant hq = apply("hq-1");

    ck_assert_int_eq(ceremony_office(ceremony, "HQ", NULL, true, NULL, 0, &fault), ERR_OK);
    ck_assert_int_eq(
        ceremony_device(ceremony, "HQ", &hq.request, LEVEL_ADMIN, ROLE_HEADQUARTERS, NULL, 0, &fault),
        ERR_OK);
    save(&ceremony);
    carry(0, 1, "root-2.key", false);
    ceremony = open_in(0, NULL);
    ck_assert_int_eq(ceremony_office(ceremony, "COL", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(waiting_count(ceremony), 2);
    save(&ceremony);
    carry(0, 1, STATEMENTS, true);
    ceremony = open_in(1, NULL);
    sign_all(ceremony);
    ck_assert_int_eq(level_of(ceremony, &hq, "COL:protected"), LEVEL_ADMIN);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_file_of_others_is_not_taken_in)
{
    char path[PATH_BYTES + 64];
    struct buf file = { 0 };
    size_t count = 0;

    found_apart();
    struct ceremony *ceremony = open_in(0, NULL);
    (void)snprintf(path, sizeof path, "%s/root-1.key", room(0));
    ck_assert_int_eq(vault_read_plain(path, 1 << 20, &file), ERR_OK);
    ck_assert_int_eq(ceremony_merge(ceremony, buf_span(&file), &count, &fault), ERR_INVALID);
    struct key other = { { 3 } };
    buf_clear(&file);
    ck_assert_int_eq(statements_write(&file, span_text("\x80"), &other, &world.world), ERR_OK);
    ck_assert_int_eq(ceremony_merge(ceremony, buf_span(&file), &count, &fault), ERR_LOCKED);
    ck_assert_uint_eq(count, 0);
    buf_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

/* --- revoking --- */

/* A frontier file of a node: `log_count` logs of a device, each with one tip. */
static void
put_logs(struct frontier_file *file, const uint8_t sign_pk[SIGN_PK_BYTES], size_t log_count, uint64_t seq)
{
    for (size_t n = 0; n < log_count; n++) {
        struct descriptor descriptor = { .lane = LANE_NORMAL };
        struct frontier_file_tip tip = { .seq = seq + n };
        memcpy(descriptor.sign_pk, sign_pk, SIGN_PK_BYTES);
        bytes_write_u64(descriptor.compartment.bytes, n);
        CRYPTO_HASH(&tip.entry_id, "vigil.test.tip", span_of(&seq, sizeof seq),
                    ident_span(&descriptor.compartment));
        ck_assert_int_eq(frontier_file_add(file, &descriptor, &tip, 1), ERR_OK);
    }
}

static const struct roster_revocation *
the_revocation(const struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES])
{
    size_t count = 0;
    const struct roster_revocation *found = roster_revocations_of(ceremony_roster(ceremony), key, &count);

    ck_assert_uint_eq(count, 1);
    return found;
}

/* Revoke a device with what `file` says of it; by its office unless `by_roots`. */
static bool
revoke_device(struct ceremony *ceremony, const struct applicant *device, const struct frontier_file *file,
              bool by_roots)
{
    struct ceremony_cuts cuts;
    bool roots_did = false;

    ck_assert_int_eq(
        ceremony_plan_revoke(ceremony, device->sign.public_key, REVOKE_STOLEN, file, NULL, 0, &cuts), ERR_OK);
    ck_assert_int_eq(ceremony_revoke(ceremony, &cuts, by_roots, &roots_did, &fault), ERR_OK);
    ceremony_cuts_free(&cuts);
    return roots_did;
}

START_TEST(a_device_is_revoked_by_its_office_alone)
{
    struct frontier_file file = { 0 };
    struct applicant ken = found_apart();
    struct applicant other = apply("col-1");
    struct ceremony *ceremony = open_in(0, "office-KEN");

    put_logs(&file, ken.sign.public_key, 3, 40);
    put_logs(&file, other.sign.public_key, 2, 50);
    ck_assert(lives(ceremony, &ken));
    ck_assert(!revoke_device(ceremony, &ken, &file, false));
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    ck_assert(!lives(ceremony, &ken));
    const struct roster_revocation *revocation = the_revocation(ceremony, ken.sign.public_key);
    ck_assert(!revocation->by_roots);
    ck_assert_uint_eq(revocation->reason, REVOKE_STOLEN);
    ck_assert_uint_eq(revocation->cut_count, 3);
    for (size_t n = 0; n < file.log_count; n++) {
        bool named = false;
        for (size_t cut = 0; cut < 3; cut++) {
            named |= hash_equal(&revocation->cuts[cut].log_id, &file.logs[n].log_id) &&
                     revocation->cuts[cut].seq == file.logs[n].tips[0].seq &&
                     hash_equal(&revocation->cuts[cut].entry_id, &file.logs[n].tips[0].entry_id);
        }
        ck_assert_int_eq(named, n < 3);
    }
    /* It wrote what it wrote: its certificate still says who it was. */
    ck_assert_ptr_nonnull(roster_author_by_sign_pk(ceremony_roster(ceremony), ken.sign.public_key));
    frontier_file_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_device_is_revoked_by_roots_where_its_office_is_not_at_hand)
{
    struct frontier_file file = { 0 };
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(1, NULL);

    put_logs(&file, ken.sign.public_key, 2, 7);
    ck_assert(revoke_device(ceremony, &ken, &file, false));
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    ck_assert(lives(ceremony, &ken));
    save(&ceremony);
    carry(1, 2, STATEMENTS, true);
    ceremony = open_in(2, NULL);
    sign_all(ceremony);
    ck_assert(!lives(ceremony, &ken));
    ck_assert(the_revocation(ceremony, ken.sign.public_key)->by_roots);
    ceremony_close(&ceremony);
    /* And where it is, if that is asked for. */
    ceremony = open_in(0, "office-KEN");
    ck_assert(revoke_device(ceremony, &ken, &file, true));
    ceremony_close(&ceremony);
    frontier_file_free(&file);
}
END_TEST

START_TEST(a_device_of_two_offices_is_revoked_by_both_or_by_roots)
{
    struct ceremony *ceremony = found_in_room(1, 1);
    struct applicant ken = apply("ken-1");
    struct frontier_file none = { 0 };

    enrol(ceremony, "KEN", &ken, LEVEL_ADMIN);
    enrol(ceremony, "COL", &ken, LEVEL_READ);
    save(&ceremony);
    /* Both keys are here: both sign, and nothing is left that lets it in. */
    ceremony = open_in(0, "office-KEN");
    ck_assert(!revoke_device(ceremony, &ken, &none, false));
    ck_assert(!lives(ceremony, &ken));
    ceremony_close(&ceremony);
    /* Only one is: it would take back what it gave, and no more. So the roots do. */
    carry(0, 1, "office-COL.key", false);
    ceremony = open_in(0, "office-KEN");
    ck_assert(revoke_device(ceremony, &ken, &none, false));
    ck_assert(!lives(ceremony, &ken));
    ceremony_close(&ceremony);
}
END_TEST

/* The id of the one statement of this type that stands. */
struct finding {
    const struct roster *roster;
    struct hash id;
    size_t count;
};

static void
find_one(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct finding *finding = self;

    (void)type;
    (void)stmt;
    finding->count += roster_stands(finding->roster, id);
    finding->id = *id;
}

static struct hash
the_statement(const struct ceremony *ceremony, uint32_t type)
{
    struct finding finding = { .roster = ceremony_roster(ceremony) };

    roster_each(finding.roster, type, find_one, &finding);
    ck_assert_uint_eq(finding.count, 1);
    return finding.id;
}

/* What a node would have written: a statement that this device signed, in a file of news. */
static void
say(struct ceremony *ceremony, const struct applicant *device, uint32_t number)
{
    struct statement statement = { .type = STATEMENT_ACTOR, .org = *roster_org(ceremony_roster(ceremony)) };
    const struct roster_office *office = roster_office_by_code(ceremony_roster(ceremony), "KEN");
    const struct key_pair *signer = &device->sign;
    struct buf one = { 0 };
    struct buf array = { 0 };
    struct buf file = { 0 };
    size_t count = 0;

    memcpy(statement.actor.office_pk, office->office_pk, SIGN_PK_BYTES);
    statement.actor.number = number;
    statement.actor.name = span_text("Amina");
    statement.actor.active = true;
    world_random(&world.world, statement.random, sizeof statement.random);
    ck_assert_int_eq(statement_sign(&one, &statement, &signer, 1, NULL), ERR_OK);
    cbor_put_array(&array, 1);
    cbor_put_bytes(&array, buf_span(&one));
    /* The control key is known to every member: here from a welcome. */
    struct welcome welcome;
    ck_assert_int_eq(ceremony_welcome(ceremony, &device->request, &file, &fault), ERR_OK);
    ck_assert_int_eq(welcome_read(buf_span(&file), &device->box, &welcome, &fault), ERR_OK);
    buf_clear(&file);
    ck_assert_int_eq(statements_write(&file, buf_span(&array), &welcome.control_key, &world.world), ERR_OK);
    ck_assert_int_eq(ceremony_merge(ceremony, buf_span(&file), &count, &fault), ERR_OK);
    ck_assert_uint_eq(count, 1);
    welcome_free(&welcome);
    buf_free(&one);
    buf_free(&array);
    buf_free(&file);
}

START_TEST(what_a_device_said_is_kept_unless_it_is_dropped)
{
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(0, "office-KEN");
    struct ceremony_cuts cuts;
    bool by_roots = true;

    say(ceremony, &ken, 4);
    struct hash said = the_statement(ceremony, STATEMENT_ACTOR);
    ck_assert_int_eq(ceremony_plan_revoke(ceremony, ken.sign.public_key, REVOKE_LOST, NULL, &said, 1, &cuts),
                     ERR_OK);
    ck_assert_uint_eq(cuts.keep_count, 0);
    ceremony_cuts_free(&cuts);
    ck_assert_int_eq(ceremony_plan_revoke(ceremony, ken.sign.public_key, REVOKE_LOST, NULL, NULL, 0, &cuts),
                     ERR_OK);
    ck_assert_uint_eq(cuts.keep_count, 1);
    ck_assert(hash_equal(&cuts.keep[0], &said));
    ck_assert_int_eq(ceremony_revoke(ceremony, &cuts, false, &by_roots, &fault), ERR_OK);
    ck_assert(roster_stands(ceremony_roster(ceremony), &said));
    ceremony_cuts_free(&cuts);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(nothing_of_a_device_counts_if_that_is_said)
{
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(0, "office-KEN");
    struct ceremony_cuts cuts;
    bool by_roots = true;

    say(ceremony, &ken, 4);
    struct hash said = the_statement(ceremony, STATEMENT_ACTOR);
    ck_assert_int_eq(ceremony_plan_nothing(ken.sign.public_key, REVOKE_MISUSE, &cuts), ERR_OK);
    ck_assert_int_eq(ceremony_revoke(ceremony, &cuts, false, &by_roots, &fault), ERR_OK);
    ck_assert(!roster_stands(ceremony_roster(ceremony), &said));
    const struct roster_revocation *revocation = the_revocation(ceremony, ken.sign.public_key);
    ck_assert_uint_eq(revocation->cut_count, 0);
    ck_assert_uint_eq(revocation->keep_count, 0);
    ceremony_cuts_free(&cuts);
    ceremony_close(&ceremony);
}
END_TEST

/* Nine hundred logs do not fit into one statement, nor into two. */
START_TEST(cuts_beyond_one_statement_go_into_extensions)
{
    struct frontier_file file = { 0 };
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(1, NULL);

    put_logs(&file, ken.sign.public_key, 900, UINT64_C(1) << 40);
    ck_assert(revoke_device(ceremony, &ken, &file, false));
    ck_assert_uint_eq(waiting_count(ceremony), 3);
    save(&ceremony);
    carry(1, 2, STATEMENTS, true);
    ceremony = open_in(2, NULL);
    sign_all(ceremony);
    const struct roster_revocation *revocation = the_revocation(ceremony, ken.sign.public_key);
    ck_assert_uint_eq(revocation->cut_count, 900);
    ck_assert_uint_eq(waiting_count(ceremony), 0);
    frontier_file_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(an_extension_adds_what_the_revocation_has_not)
{
    struct frontier_file file = { 0 };
    struct frontier_file later = { 0 };
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(0, "office-KEN");
    struct ceremony_cuts cuts;
    bool by_roots = true;

    ck_assert_int_eq(ceremony_plan_extend(ceremony, ken.sign.public_key, &later, NULL, 0, &cuts), ERR_ABSENT);
    put_logs(&file, ken.sign.public_key, 2, 10);
    ck_assert(!revoke_device(ceremony, &ken, &file, false));
    ck_assert_int_eq(ceremony_plan_extend(ceremony, ken.sign.public_key, &file, NULL, 0, &cuts), ERR_OK);
    ck_assert_uint_eq(cuts.cut_count, 0);
    ceremony_cuts_free(&cuts);
    put_logs(&later, ken.sign.public_key, 3, 90);
    struct hash said = { { 9 } };
    ck_assert_int_eq(ceremony_plan_extend(ceremony, ken.sign.public_key, &later, &said, 1, &cuts), ERR_OK);
    ck_assert_uint_eq(cuts.cut_count, 3);
    ck_assert_int_eq(ceremony_extend(ceremony, &cuts, &by_roots, &fault), ERR_OK);
    ck_assert(!by_roots);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    const struct roster_revocation *revocation = the_revocation(ceremony, ken.sign.public_key);
    ck_assert_uint_eq(revocation->cut_count, 5);
    ck_assert_uint_eq(revocation->keep_count, 1);
    ceremony_cuts_free(&cuts);
    save(&ceremony);
    /* Where the office is not at hand the roots may, and it waits for the second of them. */
    carry(0, 1, STATEMENTS, true);
    ceremony = open_in(1, NULL);
    put_logs(&later, ken.sign.public_key, 1, 99);
    ck_assert_int_eq(ceremony_plan_extend(ceremony, ken.sign.public_key, &later, NULL, 0, &cuts), ERR_OK);
    ck_assert_uint_eq(cuts.cut_count, 1);
    ck_assert_int_eq(ceremony_extend(ceremony, &cuts, &by_roots, &fault), ERR_OK);
    ck_assert(by_roots);
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    ck_assert_uint_eq(the_revocation(ceremony, ken.sign.public_key)->cut_count, 5);
    ceremony_cuts_free(&cuts);
    frontier_file_free(&file);
    frontier_file_free(&later);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(nobody_cuts_by_the_word_of_the_device_that_is_revoked)
{
    struct frontier_file file = { .made = 1 };
    struct frontier_file read;
    struct buf bytes = { 0 };
    struct buf welcome_file = { 0 };
    struct welcome welcome;
    struct applicant ken = found_apart();
    struct applicant stranger = apply("stranger");
    struct ceremony *ceremony = open_in(0, "office-KEN");

    ck_assert_int_eq(ceremony_welcome(ceremony, &ken.request, &welcome_file, &fault), ERR_OK);
    ck_assert_int_eq(welcome_read(buf_span(&welcome_file), &ken.box, &welcome, &fault), ERR_OK);
    file.org = *roster_org(ceremony_roster(ceremony));
    put_logs(&file, ken.sign.public_key, 1, 3);
    ck_assert_int_eq(frontier_file_write(&bytes, &file, &ken.sign, &welcome.control_key, &world.world),
                     ERR_OK);
    ck_assert_int_eq(ceremony_read_frontier(ceremony, buf_span(&bytes), NULL, &read, &fault), ERR_OK);
    ck_assert_uint_eq(read.log_count, 1);
    frontier_file_free(&read);
    ck_assert_int_eq(ceremony_read_frontier(ceremony, buf_span(&bytes), ken.sign.public_key, &read, &fault),
                     ERR_DENIED);
    buf_clear(&bytes);
    ck_assert_int_eq(frontier_file_write(&bytes, &file, &stranger.sign, &welcome.control_key, &world.world),
                     ERR_OK);
    ck_assert_int_eq(ceremony_read_frontier(ceremony, buf_span(&bytes), NULL, &read, &fault), ERR_DENIED);
    file.org.bytes[0] ^= 1;
    buf_clear(&bytes);
    ck_assert_int_eq(frontier_file_write(&bytes, &file, &ken.sign, &welcome.control_key, &world.world),
                     ERR_OK);
    ck_assert_int_eq(ceremony_read_frontier(ceremony, buf_span(&bytes), NULL, &read, &fault), ERR_LOCKED);
    welcome_free(&welcome);
    buf_free(&welcome_file);
    buf_free(&bytes);
    frontier_file_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(an_office_that_is_revoked_certifies_nobody)
{
    struct applicant ken = found_apart();
    struct applicant late = apply("late");
    struct ceremony *ceremony = open_in(0, NULL);
    struct ceremony_cuts cuts;
    uint8_t office_pk[SIGN_PK_BYTES];
    bool by_roots = false;

    carry(1, 0, "root-2.key", true);
    memcpy(office_pk, roster_office_by_code(ceremony_roster(ceremony), "KEN")->office_pk, SIGN_PK_BYTES);
    ck_assert_int_eq(ceremony_plan_revoke(ceremony, office_pk, REVOKE_STOLEN, NULL, NULL, 0, &cuts), ERR_OK);
    ck_assert_uint_eq(cuts.keep_count, 1);
    ck_assert_int_eq(ceremony_revoke(ceremony, &cuts, false, &by_roots, &fault), ERR_OK);
    ck_assert(by_roots);
    ceremony_cuts_free(&cuts);
    /* What it certified before stays, so nothing of its devices is lost. */
    ck_assert(lives(ceremony, &ken));
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &late.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_ABSENT);
    ck_assert_int_eq(ceremony_office(ceremony, "KEN", NULL, false, NULL, 0, &fault), ERR_EXISTS);
    ceremony_close(&ceremony);
}
END_TEST

/* --- roots --- */

static struct statement_list
roots_in_force(const struct ceremony *ceremony, uint32_t *needed_out)
{
    return roster_roots(ceremony_roster(ceremony), needed_out);
}

static enum err
replace_root(struct ceremony *ceremony, const char *name)
{
    uint8_t remove[1][SIGN_PK_BYTES];

    ck_assert(ceremony_root_by_name(ceremony, name, remove[0]));
    struct ceremony_roots change = { .remove = (const uint8_t(*)[SIGN_PK_BYTES])remove,
                                     .remove_count = 1,
                                     .add_count = 1 };
    return ceremony_replace_roots(ceremony, &change, &fault);
}

/* Root 2 is lost with its file: the other two put a new one in its place, apart. */
START_TEST(a_lost_root_is_replaced_by_the_others_and_what_stands_stays)
{
    struct applicant ken = found_apart();
    struct ceremony *ceremony = open_in(0, NULL);
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    uint8_t lost[SIGN_PK_BYTES];
    uint32_t needed = 0;

    ck_assert(ceremony_root_by_name(ceremony, "root-2", lost));
    ck_assert(!ceremony_root_at_hand(ceremony, lost));
    ck_assert_int_eq(replace_root(ceremony, "root-2"), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    struct statement_list roots = roots_in_force(ceremony, &needed);
    ck_assert(statement_key_find(&roots, lost));
    ck_assert_int_eq(replace_root(ceremony, "root-2"), ERR_EXISTS);
    save(&ceremony);
    carry(0, 2, STATEMENTS, true);
    ceremony = open_in(2, NULL);
    sign_all(ceremony);
    save(&ceremony);
    carry(2, 0, STATEMENTS, true);
    /* The new root is in room 0 beside root 1, so the two are enough. */
    ceremony = open_in(0, NULL);
    roots = roots_in_force(ceremony, &needed);
    ck_assert_uint_eq(roots.count, 3);
    ck_assert_uint_eq(needed, 2);
    ck_assert(!statement_key_find(&roots, lost));
    ck_assert(ceremony_root_name(ceremony, lost, name));
    ck_assert_str_eq(name, "root-2");
    size_t named = 0;
    for (size_t n = 0; n < 3; n++) {
        ck_assert(ceremony_root_name(ceremony, statement_key_at(&roots, n), name));
        named += strcmp(name, "root-1") == 0 || strcmp(name, "root-3") == 0 || strcmp(name, "root-4") == 0;
    }
    ck_assert_uint_eq(named, 3);
    ck_assert(lives(ceremony, &ken));
    ck_assert_int_eq(level_of(ceremony, &ken, "KEN:cases"), LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_office(ceremony, "COL", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    save(&ceremony);
    /* The finder of the lost key signs nothing. */
    carry(0, 1, STATEMENTS, true);
    ceremony = open_in(1, NULL);
    ck_assert_int_eq(ceremony_office(ceremony, "LBN", NULL, false, NULL, 0, &fault), ERR_DENIED);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(roots_are_named_by_number_or_by_the_beginning_of_their_key)
{
    struct ceremony *ceremony = found_in_room(3, 2);
    uint32_t needed = 0;
    uint8_t found[SIGN_PK_BYTES];
    char hex[2 * SIGN_PK_BYTES + 1];

    struct statement_list roots = roots_in_force(ceremony, &needed);
    for (unsigned n = 0; n < 3; n++) {
        char name[CEREMONY_KEY_NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "root-%u", n + 1);
        ck_assert(ceremony_root_by_name(ceremony, name, found));
        ck_assert_mem_eq(found, statement_key_at(&roots, n), SIGN_PK_BYTES);
        bytes_hex(hex, span_of(found, SIGN_PK_BYTES));
        hex[8] = '\0';
        ck_assert(ceremony_root_by_name(ceremony, hex, found));
        ck_assert_mem_eq(found, statement_key_at(&roots, n), SIGN_PK_BYTES);
        hex[7] = '\0';
        ck_assert(!ceremony_root_by_name(ceremony, hex, found));
    }
    ck_assert(!ceremony_root_by_name(ceremony, "root-4", found));
    ck_assert(!ceremony_root_by_name(ceremony, "root", found));
    ck_assert(!ceremony_root_by_name(ceremony, "", found));
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_set_of_roots_that_cannot_be_is_refused)
{
    struct ceremony *ceremony = found_in_room(2, 2);
    uint8_t remove[1][SIGN_PK_BYTES];

    ck_assert(ceremony_root_by_name(ceremony, "root-1", remove[0]));
    struct ceremony_roots change = { .remove = (const uint8_t(*)[SIGN_PK_BYTES])remove, .remove_count = 1 };
    ck_assert_int_eq(ceremony_replace_roots(ceremony, &change, &fault), ERR_INVALID);
    change.needed = 1;
    change.add_count = 64;
    ck_assert_int_eq(ceremony_replace_roots(ceremony, &change, &fault), ERR_INVALID);
    change.add_count = 0;
    remove[0][0] ^= 1;
    ck_assert_int_eq(ceremony_replace_roots(ceremony, &change, &fault), ERR_INVALID);
    change.remove_count = 0;
    change.needed = 0;
    ck_assert_int_eq(ceremony_replace_roots(ceremony, &change, &fault), ERR_INVALID);
    /* One more root, and three that sign together. */
    change.add_count = 1;
    change.needed = 3;
    ck_assert_int_eq(ceremony_replace_roots(ceremony, &change, &fault), ERR_OK);
    uint32_t needed = 0;
    ck_assert_uint_eq(roots_in_force(ceremony, &needed).count, 3);
    ck_assert_uint_eq(needed, 3);
    ceremony_close(&ceremony);
}
END_TEST

/* --- offices --- */

START_TEST(an_office_goes_on_under_a_new_key_and_loses_nothing)
{
    struct applicant ken = found_apart();
    struct applicant reader = apply("ken-2");
    struct applicant late = apply("ken-3");
    struct ceremony *ceremony = open_in(0, "office-KEN");

    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &reader.request, LEVEL_READ, ROLE_REVIEW, NULL, 0, &fault), ERR_OK);
    say(ceremony, &ken, 4);
    struct hash said = the_statement(ceremony, STATEMENT_ACTOR);
    struct roster_office before = *roster_office_by_code(ceremony_roster(ceremony), "KEN");
    save(&ceremony);
    /* The old key is gone; two roots are in one room. */
    carry(0, 2, "office-KEN.key", false);
    carry(1, 0, "root-2.key", false);
    ceremony = open_in(0, NULL);
    ck_assert_int_eq(ceremony_rotate(ceremony, "KEN", REVOKE_REPLACED, NULL, 0, LEVEL_ADMIN, 0, &fault),
                     ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    const struct roster *roster = ceremony_roster(ceremony);
    ck_assert_uint_eq(roster_office_count(roster), 2);
    const struct roster_office *old = roster_office(roster, before.office_pk);
    ck_assert(old->revoked);
    const struct roster_office *fresh = roster_office_at(roster, roster_office_at(roster, 0) == old ? 1 : 0);
    ck_assert(!fresh->revoked);
    ck_assert_str_eq(fresh->code, "KEN");
    ck_assert_mem_eq(fresh->own, before.own, sizeof before.own);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        ck_assert_int_eq(roster_office_level(roster, fresh, &before.own[n]), LEVEL_ADMIN);
    }
    ck_assert_ptr_eq(roster_device_by_sign_pk(roster, ken.sign.public_key)->office, fresh);
    ck_assert_ptr_eq(roster_device_by_sign_pk(roster, reader.sign.public_key)->office, fresh);
    ck_assert_uint_eq(roster_device_by_sign_pk(roster, reader.sign.public_key)->roles, ROLE_REVIEW);
    ck_assert_int_eq(level_of(ceremony, &ken, "KEN:cases"), LEVEL_ADMIN);
    ck_assert_int_eq(level_of(ceremony, &reader, "KEN:cases"), LEVEL_READ);
    ck_assert(roster_stands(roster, &said));
    ck_assert_str_eq(roster_actor(roster, fresh, 4)->name, "Amina");
    ck_assert_ptr_eq(roster_office_by_code(roster, "KEN"), fresh);
    save(&ceremony);
    /* The office certifies under the key it has now. */
    ceremony = open_in(0, "office-KEN.2");
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &late.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_OK);
    ck_assert(lives(ceremony, &late));
    ck_assert_int_eq(level_of(ceremony, &late, "KEN:cases"), LEVEL_ADMIN);
    ceremony_close(&ceremony);
}
END_TEST

/* Each device keeps what it had, no more and no less, under the key that certified it; the office goes on as long. */
START_TEST(a_renewed_office_and_its_devices_keep_what_they_had_for_longer)
{
    struct ceremony *ceremony = found_in_room(1, 1);
    struct applicant ken = apply("ken-1");
    struct applicant reader = apply("ken-2");
    struct applicant gone = apply("ken-3");
    struct applicant ugandan = apply("uga-1");
    struct ceremony_cuts cuts;
    bool by_roots = false;

    enrol(ceremony, "UGA", &ugandan, LEVEL_ADMIN);
    enrol(ceremony, "KEN", &ken, LEVEL_ADMIN);
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &reader.request, LEVEL_READ, ROLE_REVIEW, NULL, 0, &fault), ERR_OK);
    enrol(ceremony, "KEN", &gone, LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_plan_revoke(ceremony, gone.sign.public_key, REVOKE_LOST, NULL, NULL, 0, &cuts),
                     ERR_OK);
    ck_assert_int_eq(ceremony_revoke(ceremony, &cuts, false, &by_roots, &fault), ERR_OK);
    ceremony_cuts_free(&cuts);
    const struct roster *roster = ceremony_roster(ceremony);
    struct roster_office office = *roster_office_by_code(roster, "KEN");
    uint64_t device_until = roster_device_by_sign_pk(roster, reader.sign.public_key)->until;
    uint64_t uganda_until = roster_device_by_sign_pk(roster, ugandan.sign.public_key)->until;

    ck_assert_int_eq(ceremony_renew(ceremony, "SOM", &fault), ERR_ABSENT);
    /* Eleven months on the office has a year left, and a month: its own certificate stays. */
    test_world_pass(&world, UINT64_C(335) * 86400000);
    ck_assert(!ceremony_office_ends(ceremony, roster_office_by_code(roster, "KEN")));
    ck_assert_int_eq(ceremony_renew(ceremony, "KEN", &fault), ERR_OK);
    ck_assert_uint_eq(roster_office_by_code(roster, "KEN")->until, office.until);
    ck_assert_uint_ge(roster_device_by_sign_pk(roster, reader.sign.public_key)->until,
                      device_until + UINT64_C(335) * 86400);
    ck_assert_int_eq(level_of(ceremony, &ken, "KEN:cases"), LEVEL_ADMIN);
    ck_assert_int_eq(level_of(ceremony, &reader, "KEN:cases"), LEVEL_READ);
    ck_assert_uint_eq(roster_device_by_sign_pk(roster, reader.sign.public_key)->roles, ROLE_REVIEW);
    ck_assert_str_eq(roster_device_by_sign_pk(roster, reader.sign.public_key)->name, "ken-2");
    /* Who was revoked stays so, and other offices see to theirs. */
    ck_assert(!lives(ceremony, &gone));
    ck_assert_uint_eq(roster_device_by_sign_pk(roster, ugandan.sign.public_key)->until, uganda_until);
    ck_assert_uint_eq(roster_office_count(roster), 2);

    /* Then the office's own ends before theirs would. */
    test_world_pass(&world, UINT64_C(335) * 86400000);
    ck_assert(ceremony_office_ends(ceremony, roster_office_by_code(roster, "KEN")));
    ck_assert_int_eq(ceremony_renew(ceremony, "KEN", &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    ck_assert_uint_ge(roster_office_by_code(roster, "KEN")->until, office.until + UINT64_C(600) * 86400);
    ck_assert_mem_eq(roster_office_by_code(roster, "KEN")->office_pk, office.office_pk, SIGN_PK_BYTES);
    ck_assert_mem_eq(roster_office_by_code(roster, "KEN")->own, office.own, sizeof office.own);
    ck_assert_uint_eq(roster_office_count(roster), 2);
    ck_assert_int_eq(level_of(ceremony, &reader, "KEN:cases"), LEVEL_READ);
    save(&ceremony);
}
END_TEST

/* Of several certificates of a device, each compartment has the highest level that one of them gives. */
START_TEST(a_new_key_certifies_each_device_as_it_was_certified)
{
    struct ceremony *ceremony = found_in_room(1, 1);
    struct applicant ken = apply("ken-1");
    struct ceremony_grant grants[OWN_COUNT];
    size_t count = 0;

    enrol(ceremony, "KEN", &ken, LEVEL_READ);
    ck_assert_int_eq(ceremony_read_grant(ceremony, "KEN:protected=admin", grants, &count), ERR_OK);
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &ken.request, LEVEL_CARRY, ROLE_RELAY, grants, count, &fault),
        ERR_OK);
    ck_assert_int_eq(ceremony_rotate(ceremony, "KEN", REVOKE_REPLACED, NULL, 0, LEVEL_ADMIN, 0, &fault),
                     ERR_OK);
    /* Let only the new certificate stand, to see what it says: the old key's are no longer kept. */
    const struct roster *roster = ceremony_roster(ceremony);
    const struct roster_device *device = roster_device_by_sign_pk(roster, ken.sign.public_key);
    struct buf bytes = { 0 };
    struct statement statement;
    ck_assert(roster_write(roster, &device->certificate, &bytes));
    ck_assert(statement_read_stored(buf_span(&bytes), &statement));
    ck_assert_mem_eq(statement.device.office_pk, device->office->office_pk, SIGN_PK_BYTES);
    ck_assert(!device->office->revoked);
    ck_assert_int_eq(statement.device.any, LEVEL_READ);
    ck_assert_int_eq(statement_grant_find(&statement.device.grants, &device->office->own[OWN_PROTECTED]),
                     LEVEL_ADMIN);
    ck_assert_uint_eq(statement.device.grants.count, 1);
    ck_assert_uint_eq(statement.device.roles, device->roles);
    buf_free(&bytes);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_device_of_an_office_with_a_new_key_can_be_revoked)
{
    struct frontier_file none = { 0 };
    struct ceremony *ceremony = found_in_room(1, 1);
    struct applicant ken = apply("ken-1");

    enrol(ceremony, "KEN", &ken, LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_rotate(ceremony, "KEN", REVOKE_REPLACED, NULL, 0, LEVEL_ADMIN, 0, &fault),
                     ERR_OK);
    /* By the office itself, under the key it has now: what the old key gave is its to take back. */
    ck_assert(!revoke_device(ceremony, &ken, &none, false));
    ck_assert(!lives(ceremony, &ken));
    ceremony_close(&ceremony);
}
END_TEST

/* K4: the laptop is lost. Two people in two places revoke it with what headquarters had of it, and certify another;
 * then the key of a machine that goes on is replaced. All offline. */
START_TEST(k4_a_lost_device_is_revoked_and_replaced_offline_by_people_apart)
{
    struct frontier_file file = { 0 };
    struct applicant lost = found_apart();
    struct applicant next = apply("ken-2");
    struct applicant rotated = apply("ken-2 again");
    struct ceremony *ceremony = open_in(1, NULL);

    put_logs(&file, lost.sign.public_key, 4, 100);
    ck_assert(revoke_device(ceremony, &lost, &file, false));
    save(&ceremony);
    carry(1, 2, STATEMENTS, true);
    ceremony = open_in(2, NULL);
    sign_all(ceremony);
    save(&ceremony);
    carry(2, 0, STATEMENTS, true);
    ceremony = open_in(0, "office-KEN");
    ck_assert(!lives(ceremony, &lost));
    ck_assert_uint_eq(the_revocation(ceremony, lost.sign.public_key)->cut_count, 4);
    /* A revoked key never returns. */
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &lost.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_EXISTS);
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &next.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_OK);
    ck_assert(lives(ceremony, &next));
    /* Device key rotation: the machine asks with new keys, the old ones are revoked with all their work. */
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &rotated.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_OK);
    frontier_file_free(&file);
    put_logs(&file, next.sign.public_key, 3, 8);
    ck_assert(!revoke_device(ceremony, &next, &file, false));
    ck_assert(!lives(ceremony, &next));
    ck_assert(lives(ceremony, &rotated));
    ck_assert_uint_eq(the_revocation(ceremony, next.sign.public_key)->cut_count, 3);
    struct buf welcome = { 0 };
    ck_assert_int_eq(ceremony_welcome(ceremony, &rotated.request, &welcome, &fault), ERR_OK);
    ck_assert_int_eq(ceremony_welcome(ceremony, &next.request, &welcome, &fault), ERR_ABSENT);
    buf_free(&welcome);
    frontier_file_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

/* K5: the office is lost with its key and its laptop. One root of two makes a new key, a certificate, a revocation: and
 * none of it counts, here or at any node. */
START_TEST(k5_one_root_alone_recovers_nothing)
{
    struct applicant ken = found_apart();
    struct applicant next = apply("ken-2");
    struct ceremony *ceremony = NULL;
    struct buf welcome = { 0 };

    carry(0, 1, "office-KEN.key", false);
    ceremony = open_in(0, NULL);
    struct roster_office before = *roster_office_by_code(ceremony_roster(ceremony), "KEN");
    ck_assert_int_eq(
        ceremony_rotate(ceremony, "KEN", REVOKE_LOST, &next.request, 1, LEVEL_ADMIN, ROLE_CASE_WORK, &fault),
        ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 1);
    ck_assert(!lives(ceremony, &next));
    ck_assert_uint_eq(roster_revocation_count(ceremony_roster(ceremony)), 0);
    ck_assert_ptr_eq(roster_device_by_sign_pk(ceremony_roster(ceremony), ken.sign.public_key)->office,
                     roster_office(ceremony_roster(ceremony), before.office_pk));
    ck_assert_int_eq(ceremony_welcome(ceremony, &next.request, &welcome, &fault), ERR_ABSENT);
    /* Trying again, or signing once more, adds nothing. */
    ck_assert_int_eq(ceremony_rotate(ceremony, "KEN", REVOKE_LOST, NULL, 0, LEVEL_ADMIN, 0, &fault),
                     ERR_EXISTS);
    struct ceremony_waiting waiting[4];
    ck_assert_uint_eq(ceremony_waiting(ceremony, waiting, 4), 2);
    for (size_t n = 0; n < 2; n++) {
        ck_assert_int_eq(ceremony_sign(ceremony, &waiting[n].stmt_id, &fault), ERR_DENIED);
    }
    save(&ceremony);
    /* The second person makes it count. */
    carry(0, 2, STATEMENTS, true);
    ceremony = open_in(2, NULL);
    ck_assert(!lives(ceremony, &next));
    sign_all(ceremony);
    ck_assert(lives(ceremony, &next));
    ck_assert(lives(ceremony, &ken));
    ck_assert(roster_office(ceremony_roster(ceremony), before.office_pk)->revoked);
    ck_assert_int_eq(level_of(ceremony, &next, "KEN:protected"), LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_welcome(ceremony, &next.request, &welcome, &fault), ERR_OK);
    buf_free(&welcome);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(k5_a_wrong_passphrase_or_key_file_is_told_clearly)
{
    struct ceremony *ceremony = found_in_room(3, 2);
    struct ceremony_options how = options(0);
    struct ceremony_options elsewhere = options(1);
    char from[PATH_BYTES + 32];
    char to[PATH_BYTES + 32];

    save(&ceremony);
    wrong = "root-2";
    ceremony = open_in(0, NULL);
    ck_assert_int_eq(ceremony_office(ceremony, "KEN", NULL, false, NULL, 0, &fault), ERR_PASSPHRASE);
    ck_assert_str_eq(in_question, "root-2");
    ck_assert_str_eq(fault.why, "the passphrase is not that of this key");
    ck_assert_uint_eq(ceremony_waiting(ceremony, NULL, 0), 0);
    ceremony_close(&ceremony);
    wrong = NULL;
    /* The file of another organisation under this name. */
    ck_assert_int_eq(ceremony_found(&ceremony, &elsewhere, "Others", 2, 2, &fault), ERR_OK);
    ceremony_close(&ceremony);
    carry(1, 0, "root-1.key", true);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_LOCKED);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, "root-2", &fault), ERR_OK);
    ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 0);
    ceremony_close(&ceremony);
    /* The file of another key under this name. */
    (void)snprintf(from, sizeof from, "%s/root-3.key", room(0));
    (void)snprintf(to, sizeof to, "%s/root-1.key", room(0));
    ck_assert_int_eq(rename(from, to), 0);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, "root-1", &fault), ERR_PASSPHRASE);
    ck_assert_str_eq(in_question, "root-1");
    /* Half of a file. */
    ck_assert_int_eq(truncate(to, 100), 0);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, "root-1", &fault), ERR_CORRUPT);
    ck_assert_str_eq(fault.what, "a key file cannot be used");
    ck_assert_ptr_null(ceremony);
}
END_TEST

SUITE_MAIN_WITH(
    "ceremony_trust", setup, teardown, what_one_root_signed_waits_until_another_person_signs_elsewhere,
    copies_that_were_signed_apart_unite, the_same_said_twice_is_one_statement,
    headquarters_get_an_office_that_waited, a_file_of_others_is_not_taken_in,
    a_device_is_revoked_by_its_office_alone, a_device_is_revoked_by_roots_where_its_office_is_not_at_hand,
    a_device_of_two_offices_is_revoked_by_both_or_by_roots, what_a_device_said_is_kept_unless_it_is_dropped,
    nothing_of_a_device_counts_if_that_is_said, cuts_beyond_one_statement_go_into_extensions,
    an_extension_adds_what_the_revocation_has_not, nobody_cuts_by_the_word_of_the_device_that_is_revoked,
    an_office_that_is_revoked_certifies_nobody, a_lost_root_is_replaced_by_the_others_and_what_stands_stays,
    roots_are_named_by_number_or_by_the_beginning_of_their_key, a_set_of_roots_that_cannot_be_is_refused,
    an_office_goes_on_under_a_new_key_and_loses_nothing, a_new_key_certifies_each_device_as_it_was_certified,
    a_device_of_an_office_with_a_new_key_can_be_revoked,
    a_renewed_office_and_its_devices_keep_what_they_had_for_longer,
    k4_a_lost_device_is_revoked_and_replaced_offline_by_people_apart, k5_one_root_alone_recovers_nothing,
    k5_a_wrong_passphrase_or_key_file_is_told_clearly)
