#include "sync/ceremony.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct vault_work least_work = { 1, UINT64_C(64) << 20 };

static struct test_world world;
static char directory[64];
static const char *missing; /* a key that is not at hand */
static const char *wrong;   /* a key whose passphrase is mistyped */
static int asked;

/* Every key has a passphrase of its own. */
static enum err
answer(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)self;
    asked++;
    if (!fresh && missing != NULL && strcmp(key_name, missing) == 0) {
        return ERR_ABSENT;
    }
    buf_put_text(passphrase_out, wrong != NULL && strcmp(key_name, wrong) == 0 ? "wrong" : "pass ");
    buf_put_text(passphrase_out, key_name);
    return ERR_OK;
}

static struct ceremony_options
options(void)
{
    return (struct ceremony_options){
        .directory = directory, .world = &world.world, .work = &least_work, .ask = answer
    };
}

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 6);
    (void)snprintf(directory, sizeof directory, "/tmp/vigil-ceremony-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    missing = NULL;
    wrong = NULL;
    asked = 0;
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
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The keys of a device that asks to join, and its request. */
struct applicant {
    struct key_pair sign;
    struct key_pair box;
    struct key_pair transport;
    struct request request;
};

static struct applicant
apply(const char *name)
{
    struct applicant applicant = { .request = { .incarnation = { 1 } } };
    struct buf file = { 0 };

    crypto_sign_pair(&applicant.sign, &world.world);
    crypto_box_pair(&applicant.box, &world.world);
    crypto_box_pair(&applicant.transport, &world.world);
    (void)snprintf(applicant.request.name, sizeof applicant.request.name, "%s", name);
    memcpy(applicant.request.sign_pk, applicant.sign.public_key, 32);
    memcpy(applicant.request.box_pk, applicant.box.public_key, 32);
    memcpy(applicant.request.transport_pk, applicant.transport.public_key, 32);
    request_write(&file, &applicant.request, &applicant.sign);
    buf_free(&file);
    return applicant;
}

static struct ceremony *
found(uint32_t roots, uint32_t needed)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = NULL;
    ceremony_fault fault;

    ck_assert_int_eq(ceremony_found(&ceremony, &how, "Network", roots, needed, &fault), ERR_OK);
    return ceremony;
}

static void
enrol(struct ceremony *ceremony, const char *code, bool everything, const struct applicant *applicant,
      enum level level)
{
    ceremony_fault fault;

    ck_assert_int_eq(ceremony_office(ceremony, code, code, everything, NULL, 0, &fault), ERR_OK);
    ck_assert_int_eq(ceremony_device(ceremony, code, &applicant->request, level,
                                     everything ? ROLE_HEADQUARTERS : ROLE_CASE_WORK, NULL, 0, &fault),
                     ERR_OK);
    ck_assert_int_eq(ceremony_save(ceremony, &fault), ERR_OK);
}

static enum level
level_of(const struct roster *roster, const struct applicant *applicant, const char *compartment)
{
    const struct roster_compartment *there = roster_compartment_by_name(roster, compartment);

    ck_assert_ptr_nonnull(there);
    return roster_level(roster, roster_device_by_sign_pk(roster, applicant->sign.public_key), &there->id);
}

static void
take(void *self, struct span statement)
{
    enum roster_news news = roster_add(self, statement, NULL);

    ck_assert_int_eq(news, ROSTER_NEW);
}

START_TEST(what_was_founded_opens_again_with_any_key)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(3, 2);
    struct applicant ken = apply("ken-1");
    ceremony_fault fault;
    static const char *const keys[] = { NULL, "root-3", "office-KEN" };

    struct hash org = *roster_org(ceremony_roster(ceremony));
    enrol(ceremony, "KEN", false, &ken, LEVEL_ADMIN);
    ceremony_close(&ceremony);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(ceremony_open(&ceremony, &how, keys[n], &fault), ERR_OK);
        ck_assert(hash_equal(roster_org(ceremony_roster(ceremony)), &org));
        ck_assert_str_eq(roster_name(ceremony_roster(ceremony)), "Network");
        ck_assert_int_eq(level_of(ceremony_roster(ceremony), &ken, "KEN:protected"), LEVEL_ADMIN);
        ceremony_close(&ceremony);
    }
}
END_TEST

START_TEST(key_files_are_for_their_owner_alone)
{
    static const char *const names[] = { "root-1.key", "root-2.key", "organisation.statements" };
    struct ceremony *ceremony = found(2, 1);

    for (size_t n = 0; n < 3; n++) {
        char path[256];
        struct stat stat_of;
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[n]);
        ck_assert_int_eq(stat(path, &stat_of), 0);
        ck_assert_uint_eq(stat_of.st_mode & 07777, 0600);
    }
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_wrong_passphrase_opens_nothing)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(1, 1);
    ceremony_fault fault = { NULL, NULL, NULL };

    ceremony_close(&ceremony);
    wrong = "root-1";
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_PASSPHRASE);
    ck_assert_ptr_null(ceremony);
    ck_assert_str_eq(fault.what, "a key does not open");
    ck_assert_int_eq(ceremony_open(&ceremony, &how, "office-COL", &fault), ERR_ABSENT);
}
END_TEST

START_TEST(a_damaged_key_file_is_told_from_a_wrong_passphrase)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(1, 1);
    ceremony_fault fault;
    struct buf file = { 0 };
    char path[256];

    ceremony_close(&ceremony);
    (void)snprintf(path, sizeof path, "%s/root-1.key", directory);
    ck_assert_int_eq(vault_read_plain(path, 4096, &file), ERR_OK);
    file.data[file.size - 1] ^= 1;
    ck_assert_int_eq(vault_write_plain(path, buf_span(&file)), ERR_OK);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_CORRUPT);
    file.data[0] ^= 1;
    ck_assert_int_eq(vault_write_plain(path, buf_span(&file)), ERR_OK);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_CORRUPT);
    file.data[0] ^= 1;
    file.data[8] = 9;
    ck_assert_int_eq(vault_write_plain(path, buf_span(&file)), ERR_OK);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_NEWER);
    buf_free(&file);
}
END_TEST

/* root-1.key as the first version wrote it, without a public key in its head, and the statements beside it. */
static const char first_key[] =
    "564947494c4b455901000000030000000004000000d2f9d1aca16bcc07a6c24caa8f1519e48893ae3c957fe8ef192ba50fab"
    "eb533c2cd1ef9825aaac869233651406bd1cde2e5dff3c6f415d00c79508c164cb2de22b8c67928739a44114f7777e7c1755"
    "dce847f876acfc5f95bc6825541e5edb80f782bc1dbe6320fcea55084b627309a2a70fcabeec147fbfb3cd12d06368a2d0d3"
    "a040d4aa867bb2a538739efd12db2ba9a59b75ee24a23fbb53c0f819b455766196ccba5be03a50a0f7b42b8487432fb920a6"
    "14b7be3fcc";
static const char first_statements[] =
    "VIGIL STATEMENTS 1\n"
    "Dejg2MaE3YlDmt6zNB9G1rVKDeh4RmjPJk5zDWh/WsFKHWKkc5u+ZivtEyQfaj7XvCEvsEqjuzN9\n"
    "LG18DZqep3vr2uhANvviJfY33v/cwov+i5PNjroi58ESMIV2EFrHO6OpxgM/65/tzZLoQIeYNy8R\n"
    "pSZzsxYefwiVAWCuSWLCkpnhe4uQq5J9IvQiGo+icCTf6ERHX5c/EKlf0U49DXf0aKM2aFcaUrYd\n"
    "boknInRtVmENTSGfCj3gGzHSkmN17chY1x6W6mgJaKBiwpC8nBci9COx+lsTGSqnVH2+34izy2u2\n"
    "7JtWtJacyzgQZoJ02Dg409LU7w6pTDizHAWp4Ap2J9KqhUjD2O01vmrvhsshu6jf8NYxV27ExQ==\n";

START_TEST(a_key_file_of_the_first_version_still_opens)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = NULL;
    struct applicant ken = apply("ken-1");
    ceremony_fault fault = { NULL, NULL, NULL };
    uint8_t key[(sizeof first_key - 1) / 2];
    uint8_t root_pk[SIGN_PK_BYTES];
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    char path[256];
    uint32_t needed = 0;

    ck_assert(bytes_from_hex(key, sizeof key, first_key));
    (void)snprintf(path, sizeof path, "%s/root-1.key", directory);
    ck_assert_int_eq(vault_write_plain(path, span_of(key, sizeof key)), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/organisation.statements", directory);
    ck_assert_int_eq(vault_write_plain(path, span_text(first_statements)), ERR_OK);
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_OK);
    enrol(ceremony, "KEN", false, &ken, LEVEL_ADMIN);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    struct statement_list roots = roster_roots(ceremony_roster(ceremony), &needed);
    memcpy(root_pk, statement_key_at(&roots, 0), SIGN_PK_BYTES);
    ck_assert(ceremony_root_name(ceremony, root_pk, name));
    ck_assert_str_eq(name, "root-1");
    ck_assert(ceremony_root_at_hand(ceremony, root_pk));
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(an_office_needs_as_many_roots_as_were_agreed)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(2, 2);
    struct applicant ken = apply("ken-1");
    ceremony_fault fault = { NULL, NULL, NULL };

    ceremony_close(&ceremony);
    missing = "root-2";
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_OK);
    ck_assert_int_eq(ceremony_office(ceremony, "KEN", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 1);
    ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 0);
    /* Its devices are certified, and wait with it. */
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &ken.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(roster_device_count(ceremony_roster(ceremony)), 0);
    struct buf file = { 0 };
    ck_assert_int_eq(ceremony_welcome(ceremony, &ken.request, &file, &fault), ERR_ABSENT);
    ck_assert_int_eq(ceremony_save(ceremony, &fault), ERR_OK);
    ceremony_close(&ceremony);
    missing = NULL;
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_OK);
    ck_assert_int_eq(ceremony_office(ceremony, "KEN", NULL, false, NULL, 0, &fault), ERR_OK);
    ck_assert_uint_eq(ceremony_missing(ceremony), 0);
    ck_assert_uint_eq(roster_office_count(ceremony_roster(ceremony)), 1);
    ck_assert_int_eq(level_of(ceremony_roster(ceremony), &ken, "KEN:cases"), LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_welcome(ceremony, &ken.request, &file, &fault), ERR_OK);
    buf_free(&file);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(without_a_root_no_office_is_made)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(2, 1);
    struct applicant ken = apply("ken-1");
    ceremony_fault fault = { NULL, NULL, NULL };
    char path[256];

    enrol(ceremony, "KEN", false, &ken, LEVEL_ADMIN);
    ceremony_close(&ceremony);
    for (int n = 1; n <= 2; n++) {
        (void)snprintf(path, sizeof path, "%s/root-%d.key", directory, n);
        ck_assert_int_eq(remove(path), 0);
    }
    ck_assert_int_eq(ceremony_open(&ceremony, &how, NULL, &fault), ERR_ABSENT);
    ck_assert_str_eq(fault.what, "no root key is at hand");
    ck_assert_int_eq(ceremony_open(&ceremony, &how, "office-KEN", &fault), ERR_OK);
    ck_assert_int_eq(ceremony_office(ceremony, "COL", NULL, false, NULL, 0, &fault), ERR_DENIED);
    ck_assert_str_eq(fault.what, "the roots did not sign");
    (void)snprintf(path, sizeof path, "%s/office-COL.key", directory);
    ck_assert_int_eq(remove(path), -1);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_welcome_makes_a_roster_in_which_the_device_stands)
{
    struct ceremony *ceremony = found(3, 2);
    struct applicant ken = apply("ken-1");
    ceremony_fault fault;
    struct welcome welcome;
    struct buf file = { 0 };

    enrol(ceremony, "KEN", false, &ken, LEVEL_WRITE);
    ck_assert_int_eq(ceremony_welcome(ceremony, &ken.request, &file, &fault), ERR_OK);
    ck_assert_int_eq(welcome_read(buf_span(&file), &ken.box, &welcome, &fault), ERR_OK);
    struct roster *roster = roster_new(&welcome.org);
    ck_assert(joining_each(buf_span(&welcome.statements), take, roster));
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    ck_assert(roster_founded(roster));
    const struct roster_device *device = roster_device_by_sign_pk(roster, ken.sign.public_key);
    ck_assert_ptr_nonnull(device);
    ck_assert(hash_equal(&device->certificate, &welcome.certificate));
    ck_assert_int_eq(level_of(roster, &ken, "KEN:cases"), LEVEL_WRITE);
    roster_free(&roster);
    /* And the news file opens with the key that the welcome brought. */
    struct buf statements = { 0 };
    buf_clear(&file);
    ck_assert_int_eq(ceremony_news(ceremony, &file), ERR_OK);
    ck_assert_int_eq(statements_read(buf_span(&file), &welcome.control_key, &statements, &fault), ERR_OK);
    ck_assert(span_equal(buf_span(&statements), buf_span(&welcome.statements)));
    buf_free(&statements);
    buf_free(&file);
    welcome_free(&welcome);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(headquarters_hold_what_comes_before_and_after)
{
    struct ceremony *ceremony = found(1, 1);
    struct applicant ken = apply("ken-1");
    struct applicant hq = apply("hq-1");
    struct applicant col = apply("col-1");

    enrol(ceremony, "KEN", false, &ken, LEVEL_ADMIN);
    enrol(ceremony, "HQ", true, &hq, LEVEL_ADMIN);
    enrol(ceremony, "COL", false, &col, LEVEL_ADMIN);
    const struct roster *roster = ceremony_roster(ceremony);
    static const char *const all[] = { "KEN:cases",     "KEN:protected", "KEN:audit", "COL:cases",
                                       "COL:protected", "COL:audit",     "HQ:cases" };
    for (size_t n = 0; n < 7; n++) {
        ck_assert_int_eq(level_of(roster, &hq, all[n]), LEVEL_ADMIN);
        ck_assert_int_eq(level_of(roster, &col, all[n]), n >= 3 && n < 6 ? LEVEL_ADMIN : LEVEL_NONE);
    }
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(grants_make_relays_and_nodes_without_the_protected_part)
{
    struct ceremony *ceremony = found(1, 1);
    struct applicant ken = apply("ken-1");
    struct applicant relay = apply("relay-1");
    struct applicant un = apply("un-1");
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault;
    size_t count = 0;

    enrol(ceremony, "KEN", false, &ken, LEVEL_ADMIN);
    ck_assert_int_eq(ceremony_read_grant(ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(ceremony_office(ceremony, "RELAY", NULL, false, grants, count, &fault), ERR_OK);
    ck_assert_int_eq(
        ceremony_device(ceremony, "RELAY", &relay.request, LEVEL_CARRY, ROLE_RELAY, grants, count, &fault),
        ERR_OK);
    ck_assert_int_eq(ceremony_read_grant(ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ceremony_office(ceremony, "UN", NULL, false, grants, count, &fault), ERR_OK);
    ck_assert_int_eq(
        ceremony_device(ceremony, "UN", &un.request, LEVEL_ADMIN, ROLE_CASE_WORK, grants, count, &fault),
        ERR_OK);
    const struct roster *roster = ceremony_roster(ceremony);
    ck_assert_int_eq(level_of(roster, &relay, "KEN:cases"), LEVEL_CARRY);
    ck_assert_int_eq(level_of(roster, &relay, "KEN:audit"), LEVEL_CARRY);
    ck_assert_int_eq(level_of(roster, &relay, "RELAY:cases"), LEVEL_CARRY);
    ck_assert_int_eq(level_of(roster, &un, "KEN:cases"), LEVEL_READ);
    ck_assert_int_eq(level_of(roster, &un, "KEN:protected"), LEVEL_NONE);
    ck_assert_int_eq(level_of(roster, &un, "UN:cases"), LEVEL_ADMIN);
    static const char *const bad[] = {
        "", "KEN", "KEN:cases", "KEN=read", "KEN:cases=rule", "ken:cases=read", "KENKENKENKENKEN:cases=read"
    };
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        ck_assert_int_eq(ceremony_read_grant(ceremony, bad[n], grants, &count), ERR_INVALID);
    }
    ck_assert_int_eq(ceremony_read_grant(ceremony, "COL:cases=read", grants, &count), ERR_ABSENT);
    ck_assert_int_eq(ceremony_read_grant(ceremony, "KEN:secrets=read", grants, &count), ERR_ABSENT);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(a_key_that_is_another_devices_is_refused)
{
    struct ceremony *ceremony = found(1, 1);
    struct applicant first = apply("first");
    struct applicant second = apply("second");
    ceremony_fault fault = { NULL, NULL, NULL };
    struct buf file = { 0 };

    enrol(ceremony, "KEN", false, &first, LEVEL_ADMIN);
    size_t count = roster_statement_count(ceremony_roster(ceremony));
    second.transport = first.transport;
    memcpy(second.request.transport_pk, first.transport.public_key, 32);
    request_write(&file, &second.request, &second.sign);
    buf_free(&file);
    ck_assert_int_eq(
        ceremony_device(ceremony, "KEN", &second.request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_EXISTS);
    ck_assert_str_eq(fault.why, "one of its keys is that of another device");
    ck_assert_uint_eq(roster_statement_count(ceremony_roster(ceremony)), count);
    ceremony_close(&ceremony);
}
END_TEST

START_TEST(an_organisation_is_not_founded_over_another)
{
    struct ceremony_options how = options();
    struct ceremony *ceremony = found(1, 1);
    ceremony_fault fault;

    ceremony_close(&ceremony);
    asked = 0;
    ck_assert_int_eq(ceremony_found(&ceremony, &how, "Second", 1, 1, &fault), ERR_EXISTS);
    ck_assert_int_eq(asked, 0);
    ck_assert_int_eq(ceremony_found(&ceremony, &how, "", 1, 1, &fault), ERR_INVALID);
    ck_assert_int_eq(ceremony_found(&ceremony, &how, "a\nb", 1, 1, &fault), ERR_INVALID);
    ck_assert_int_eq(ceremony_found(&ceremony, &how, "Name", 2, 3, &fault), ERR_INVALID);
}
END_TEST

START_TEST(a_trial_is_an_organisation_of_one_in_one_call)
{
    struct ceremony_options how = options();
    struct applicant node = apply("trial");
    ceremony_fault fault;
    struct welcome welcome;
    struct buf file = { 0 };

    ck_assert_int_eq(ceremony_trial(&how, "Trial", "TRY", "Trial office", &node.request, &file, &fault),
                     ERR_OK);
    ck_assert_int_eq(asked, 2);
    ck_assert_int_eq(welcome_read(buf_span(&file), &node.box, &welcome, &fault), ERR_OK);
    struct roster *roster = roster_new(&welcome.org);
    ck_assert(joining_each(buf_span(&welcome.statements), take, roster));
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    ck_assert_int_eq(level_of(roster, &node, "TRY:protected"), LEVEL_ADMIN);
    ck_assert_uint_eq(roster_erasure_signatures(roster), 1);
    roster_free(&roster);
    welcome_free(&welcome);
    buf_free(&file);
}
END_TEST

SUITE_MAIN_WITH("ceremony", setup, teardown, what_was_founded_opens_again_with_any_key,
                key_files_are_for_their_owner_alone, a_wrong_passphrase_opens_nothing,
                a_damaged_key_file_is_told_from_a_wrong_passphrase,
                an_office_needs_as_many_roots_as_were_agreed, without_a_root_no_office_is_made,
                a_key_file_of_the_first_version_still_opens,
                a_welcome_makes_a_roster_in_which_the_device_stands,
                headquarters_hold_what_comes_before_and_after,
                grants_make_relays_and_nodes_without_the_protected_part,
                a_key_that_is_another_devices_is_refused, an_organisation_is_not_founded_over_another,
                a_trial_is_an_organisation_of_one_in_one_call)
