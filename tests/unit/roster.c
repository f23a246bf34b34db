#include "store/codebook.h"
#include "store/entry.h"
#include "sync/roster.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <stdio.h>
#include <string.h>

static struct test_world world;
static struct test_org org;
static struct test_office ken;
static struct test_device node;
static struct roster *roster;
static struct buf out;

static void
found(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 2);
    test_org_init(&org, &world, 3, 2, 2);
    roster = test_roster(&org);
    test_enrol_office(roster, &org, &ken, "KEN");
    test_enrol_device(roster, &org, &ken, &node, LEVEL_ADMIN);
    out = (struct buf){ 0 };
}

static void
dissolve(void)
{
    buf_free(&out);
    roster_free(&roster);
    test_org_free(&org);
}

static void
settle(void)
{
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
}

static void
give(void)
{
    expect_given(roster, &out, ROSTER_NEW);
    settle();
}

START_TEST(nothing_stands_before_the_founding_statement_is_here)
{
    struct roster *empty = roster_new(&org.id);

    (void)test_office_statement(&out, &org, &ken, 2);
    ck_assert_int_eq(roster_add(empty, buf_span(&out), NULL), ROSTER_NEW);
    ck_assert_int_eq(roster_settle(empty), ERR_OK);
    ck_assert(!roster_founded(empty));
    ck_assert_uint_eq(roster_office_count(empty), 0);
    ck_assert_str_eq(roster_name(empty), "");
    ck_assert(ident_is_zero(roster_control(empty)));
    ck_assert_int_eq(roster_add(empty, buf_span(&org.founding), NULL), ROSTER_NEW);
    ck_assert_int_eq(roster_settle(empty), ERR_OK);
    ck_assert(roster_founded(empty));
    ck_assert_uint_eq(roster_office_count(empty), 1);
    ck_assert_str_eq(roster_name(empty), "Test organisation");
    roster_free(&empty);
}
END_TEST

START_TEST(a_device_is_found_by_each_of_its_names)
{
    const struct roster_device *device = roster_device(roster, &node.id);

    ck_assert_ptr_nonnull(device);
    ck_assert_ptr_eq(roster_device_by_sign_pk(roster, node.sign.public_key), device);
    ck_assert_ptr_eq(roster_device_by_transport_pk(roster, node.transport.public_key), device);
    ck_assert_ptr_eq(roster_device_by_certificate(roster, device->certificate.bytes), device);
    ck_assert_ptr_eq(roster_device_at(roster, device->index), device);
    ck_assert_str_eq(device->name, "device");
    ck_assert_str_eq(device->office->code, "KEN");
    ck_assert_str_eq(device->endpoint, "");
    ck_assert(roster_stands(roster, &device->certificate));
    ck_assert_ptr_null(roster_device_by_sign_pk(roster, node.transport.public_key));
    ck_assert_ptr_null(roster_device_by_transport_pk(roster, node.sign.public_key));
    ck_assert_ptr_null(roster_device_by_certificate(roster, org.id.bytes));
}
END_TEST

START_TEST(an_office_has_a_pair_and_an_audit_compartment)
{
    const struct roster_compartment *cases = roster_compartment_by_name(roster, "KEN:cases");
    const struct roster_compartment *protected = roster_compartment_by_name(roster, "KEN protected");
    const struct roster_compartment *audit = roster_compartment_by_name(roster, "KEN:audit");

    ck_assert_uint_eq(roster_compartment_count(roster), 5);
    ck_assert(ident_equal(&cases->id, &ken.own[OWN_CASES]));
    ck_assert_ptr_eq(cases->twin, protected);
    ck_assert_ptr_eq(protected->twin, cases);
    ck_assert_ptr_null(audit->twin);
    ck_assert(!cases->padded && protected->padded && audit->padded);
    ck_assert_str_eq(cases->name, "KEN cases");
    ck_assert_str_eq(cases->owner->code, "KEN");
    ck_assert_ptr_eq(roster_compartment_by_tag(roster, audit->id.bytes), audit);
    ck_assert_str_eq(roster_compartment_by_name(roster, "control")->name, "control");
    ck_assert_ptr_null(roster_compartment_by_name(roster, "KEN:secrets"));
    ck_assert_ptr_null(roster_compartment_by_name(roster, "COL:cases"));
    char hex[33];
    bytes_hex(hex, ident_span(&cases->id));
    ck_assert_ptr_eq(roster_compartment_by_name(roster, hex), cases);
    hex[3] = '\0';
    ck_assert_ptr_null(roster_compartment_by_name(roster, hex));
}
END_TEST

/* The lower of what the device's certificate and its office's say. */
START_TEST(a_level_is_the_lower_of_device_and_office)
{
    struct test_office relay;
    struct test_device box;
    enum level office_levels[] = { LEVEL_NONE, LEVEL_CARRY, LEVEL_READ, LEVEL_WRITE, LEVEL_ADMIN };

    for (size_t n = 0; n < 5; n++) {
        for (enum level any = LEVEL_NONE; any <= LEVEL_ADMIN; any++) {
            for (enum level own = LEVEL_NONE; own <= LEVEL_ADMIN; own++) {
                test_office_init(&relay, &org, "REL");
                if (office_levels[n] != LEVEL_NONE) {
                    test_office_grant(&relay, &ken.own[0], office_levels[n]);
                }
                (void)test_office_statement(&out, &org, &relay, 2);
                expect_given(roster, &out, ROSTER_NEW);
                test_device_init(&box, &org, any);
                if (own != LEVEL_NONE) {
                    test_device_grant(&box, &ken.own[0], own);
                }
                (void)test_device_statement(&out, &org, &relay, &box);
                give();
                enum level mine = own == LEVEL_NONE ? any : own;
                enum level least = mine < office_levels[n] ? mine : office_levels[n];
                ck_assert_int_eq(roster_level(roster, roster_device(roster, &box.id), &ken.own[0]), least);
            }
        }
    }
    ck_assert_int_eq(roster_level(roster, NULL, &ken.own[0]), LEVEL_NONE);
}
END_TEST

START_TEST(every_device_writes_in_control_and_an_admin_of_cases_is_admin_there_and_in_shared)
{
    struct test_device plain;

    for (enum level level = LEVEL_CARRY; level <= LEVEL_WRITE; level++) {
        test_enrol_device(roster, &org, &ken, &plain, level);
        const struct roster_device *device = roster_device(roster, &plain.id);
        ck_assert_int_eq(roster_level(roster, device, &org.control), LEVEL_WRITE);
        ck_assert_int_eq(roster_level(roster, device, &org.shared), level);
    }
    ck_assert_int_eq(roster_level(roster, roster_device(roster, &node.id), &org.control), LEVEL_ADMIN);
    ck_assert_int_eq(roster_level(roster, roster_device(roster, &node.id), &org.shared), LEVEL_ADMIN);
}
END_TEST

/* Of a device's any level and its grants the office's certificate is the bound, compartment by compartment; and what nobody granted is
 * none. */
START_TEST(a_device_has_in_shared_the_highest_that_it_has_anywhere)
{
    static const struct {
        enum level office; /* in KEN's protected compartment; NONE: it grants nothing anywhere */
        enum level any;
        enum level own;
        enum level shared;
    } rows[] = {
        { LEVEL_CARRY, LEVEL_ADMIN, LEVEL_NONE, LEVEL_CARRY },
        { LEVEL_WRITE, LEVEL_CARRY, LEVEL_NONE, LEVEL_CARRY },
        { LEVEL_WRITE, LEVEL_CARRY, LEVEL_READ, LEVEL_READ },
        { LEVEL_ADMIN, LEVEL_NONE, LEVEL_WRITE, LEVEL_WRITE },
        { LEVEL_ADMIN, LEVEL_ADMIN, LEVEL_NONE, LEVEL_WRITE },
        { LEVEL_ADMIN, LEVEL_NONE, LEVEL_NONE, LEVEL_NONE },
        { LEVEL_NONE, LEVEL_ADMIN, LEVEL_NONE, LEVEL_NONE },
    };

    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        struct test_device device;
        struct test_office office;

        test_office_init(&office, &org, "GUEST");
        office.grant_count = 0;
        if (rows[n].office != LEVEL_NONE) {
            test_office_grant(&office, &ken.own[1], rows[n].office);
        }
        (void)test_office_statement(&out, &org, &office, 2);
        expect_given(roster, &out, ROSTER_NEW);
        test_device_init(&device, &org, rows[n].any);
        if (rows[n].own != LEVEL_NONE) {
            test_device_grant(&device, &ken.own[1], rows[n].own);
        }
        (void)test_device_statement(&out, &org, &office, &device);
        give();
        ck_assert_int_eq(roster_level(roster, roster_device(roster, &device.id), &org.shared),
                         rows[n].shared);
    }
    ck_assert_int_eq(roster_level(roster, NULL, &org.shared), LEVEL_NONE);
}
END_TEST

START_TEST(u11_one_signature_too_few_is_too_few_and_one_signer_counts_once)
{
    struct test_office col;

    test_office_init(&col, &org, "COL");
    struct hash id = test_office_statement(&out, &org, &col, 1);
    struct buf twice = { 0 };
    buf_put_span(&twice, buf_span(&out));
    give();
    ck_assert(!roster_stands(roster, &id));
    ck_assert_ptr_null(roster_office(roster, col.pair.public_key));
    expect_given(roster, &twice, ROSTER_KNOWN);
    settle();
    ck_assert(!roster_stands(roster, &id));
}
END_TEST

START_TEST(copies_with_different_signers_unite)
{
    struct statement statement;
    struct test_office col;
    struct buf half = { 0 };

    test_office_init(&col, &org, "COL");
    struct hash id = test_office_statement(&out, &org, &col, 2);
    ck_assert(statement_read(buf_span(&out), &statement));
    struct statement_signature signatures[2] = { statement_signature_at(&statement.signers, 0),
                                                 statement_signature_at(&statement.signers, 1) };
    for (size_t n = 0; n < 2; n++) {
        statement_write(&half, statement.bytes, &signatures[n], 1);
        expect_given(roster, &half, ROSTER_NEW);
        settle();
        ck_assert_int_eq(roster_stands(roster, &id), n == 1);
    }
    ck_assert(roster_write(roster, &id, &half));
    ck_assert(span_equal(buf_span(&half), buf_span(&out)));
    expect_given(roster, &half, ROSTER_KNOWN);
}
END_TEST

START_TEST(a_signature_that_does_not_verify_is_left_out)
{
    struct statement statement;
    struct test_office col;
    struct buf bad = { 0 };

    test_office_init(&col, &org, "COL");
    struct hash id = test_office_statement(&out, &org, &col, 2);
    ck_assert(statement_read(buf_span(&out), &statement));
    struct statement_signature signatures[2] = { statement_signature_at(&statement.signers, 0),
                                                 statement_signature_at(&statement.signers, 1) };
    signatures[1].signature[0] ^= 1;
    statement_write(&bad, statement.bytes, signatures, 2);
    expect_given(roster, &bad, ROSTER_NEW);
    settle();
    ck_assert(!roster_stands(roster, &id));
    signatures[0].signature[0] ^= 1;
    col.until++;
    buf_clear(&out);
    (void)test_office_statement(&out, &org, &col, 2);
    ck_assert(statement_read(buf_span(&out), &statement));
    statement_write(&bad, statement.bytes, signatures, 2);
    expect_given(roster, &bad, ROSTER_UNSIGNED);
    buf_put_u8(&bad, 0);
    expect_given(roster, &bad, ROSTER_MALFORMED);
}
END_TEST

START_TEST(a_statement_of_another_organisation_is_foreign)
{
    struct test_org other;

    test_org_init(&other, &world, 1, 1, 1);
    struct buf copy = { 0 };
    buf_put_span(&copy, buf_span(&other.founding));
    expect_given(roster, &copy, ROSTER_FOREIGN);
    (void)test_office_statement(&copy, &other, &ken, 1);
    expect_given(roster, &copy, ROSTER_FOREIGN);
    test_org_free(&other);
}
END_TEST

START_TEST(a_device_needs_its_office_and_itself)
{
    struct statement statement;
    struct test_device box;
    struct buf half = { 0 };

    test_device_init(&box, &org, LEVEL_READ);
    (void)test_device_statement(&out, &org, &ken, &box);
    ck_assert(statement_read(buf_span(&out), &statement));
    for (size_t n = 0; n < 2; n++) {
        struct statement_signature signature = statement_signature_at(&statement.signers, n);
        statement_write(&half, statement.bytes, &signature, 1);
        expect_given(roster, &half, ROSTER_NEW);
        settle();
        ck_assert_int_eq(roster_device(roster, &box.id) != NULL, n == 1);
    }
    test_device_init(&box, &org, LEVEL_READ);
    box.possession = true;
    buf_clear(&out);
    (void)test_device_statement(&out, &org, &ken, &box);
    give();
    ck_assert_ptr_nonnull(roster_device(roster, &box.id));
}
END_TEST

/* Whichever came first here, the lower stmt_id stands, and with it the three keys it names. */
START_TEST(of_certificates_that_share_a_key_the_lowest_stands)
{
    for (int slot = 0; slot < 2; slot++) {
        struct test_device a;
        struct test_device b;
        test_device_init(&a, &org, LEVEL_READ);
        test_device_init(&b, &org, LEVEL_READ);
        if (slot == 0) {
            b.transport = a.transport;
        } else {
            b.box = a.transport;
        }
        struct hash a_id = test_device_statement(&out, &org, &ken, &a);
        give();
        struct hash b_id = test_device_statement(&out, &org, &ken, &b);
        give();
        bool a_stands = hash_compare(&a_id, &b_id) < 0;
        ck_assert_int_eq(roster_device(roster, &a.id) != NULL, a_stands);
        ck_assert_int_eq(roster_device(roster, &b.id) != NULL, !a_stands);
    }
}
END_TEST

START_TEST(a_certificate_that_is_renewed_gives_the_most_of_both)
{
    struct test_device box;

    test_device_init(&box, &org, LEVEL_READ);
    (void)test_device_statement(&out, &org, &ken, &box);
    give();
    box.until += 100;
    box.any = LEVEL_CARRY;
    struct hash later = test_device_statement(&out, &org, &ken, &box);
    give();
    const struct roster_device *device = roster_device(roster, &box.id);
    ck_assert(hash_equal(&device->certificate, &later));
    ck_assert_uint_eq(device->until, box.until);
    ck_assert_int_eq(roster_level(roster, device, &ken.own[0]), LEVEL_READ);
    ck_assert_uint_eq(roster_device_count(roster), 2);
}
END_TEST

/* A successor set: what the old one signed stands only if it is kept, and of two successors the one
 * with more signatures counts. */
START_TEST(successor_roots_keep_what_they_name)
{
    struct key_pair fresh;
    const struct roster_office *office = roster_office(roster, ken.pair.public_key);
    struct hash office_id = office->stmt_id;
    struct hash ids[2];

    crypto_sign_pair(&fresh, &world.world);
    for (size_t n = 0; n < 2; n++) {
        const struct key_pair *signers[] = { &org.roots[0], &org.roots[1], &org.roots[2] };
        struct statement statement = { .type = STATEMENT_ROOTS };
        struct buf roots = { 0 };
        struct buf keep = { 0 };
        statement_put_key(&roots, fresh.public_key);
        statement_put_key(&keep, office_id.bytes);
        statement.roots.before = org.id;
        statement.roots.roots = statement_list_of(&roots, 1);
        statement.roots.needed = 1;
        statement.roots.keep = statement_list_of(&keep, n == 0 ? 0 : 1);
        ids[n] = test_sign(&out, &org, &statement, signers, 2 + n);
        give();
        buf_free(&roots);
        buf_free(&keep);
        uint32_t needed = 0;
        ck_assert(hash_equal(roster_roots_id(roster), &ids[n]));
        ck_assert_mem_eq(
            statement_key_at(&(struct statement_list){ roster_roots(roster, &needed).items, 1 }, 0),
            fresh.public_key, 32);
        ck_assert_uint_eq(needed, 1);
        ck_assert_int_eq(roster_stands(roster, &office_id), n == 1);
        ck_assert_int_eq(roster_device(roster, &node.id) != NULL, n == 1);
    }
    /* The old roots have no say any more. */
    struct test_office late;
    test_office_init(&late, &org, "LATE");
    struct hash id = test_office_statement(&out, &org, &late, 3);
    give();
    ck_assert(!roster_stands(roster, &id));
}
END_TEST

START_TEST(addresses_and_actors_count_from_those_who_may_give_them)
{
    struct statement address = { .type = STATEMENT_ADDRESS };
    struct statement actor = { .type = STATEMENT_ACTOR };
    struct test_device other;

    test_enrol_device(roster, &org, &ken, &other, LEVEL_WRITE);
    const struct key_pair *by_node[] = { &node.sign };
    const struct key_pair *by_other[] = { &other.sign };
    const struct key_pair *by_office[] = { &ken.pair };
    address.address.device_id = node.id;
    address.address.endpoint = span_text("tcp://192.0.2.1:1");
    address.address.until = 10;
    (void)test_sign(&out, &org, &address, by_node, 1);
    give();
    ck_assert_str_eq(roster_device(roster, &node.id)->endpoint, "tcp://192.0.2.1:1");
    address.address.endpoint = span_text("tcp://192.0.2.1:2");
    address.address.until = 11;
    (void)test_sign(&out, &org, &address, by_other, 1);
    give();
    ck_assert_str_eq(roster_device(roster, &node.id)->endpoint, "tcp://192.0.2.1:1");
    (void)test_sign(&out, &org, &address, by_node, 1);
    give();
    address.address.endpoint = span_text("tcp://192.0.2.1:3");
    address.address.until = 9;
    (void)test_sign(&out, &org, &address, by_node, 1);
    give();
    ck_assert_str_eq(roster_device(roster, &node.id)->endpoint, "tcp://192.0.2.1:2");
    memcpy(actor.actor.office_pk, ken.pair.public_key, 32);
    actor.actor.active = true;
    const struct key_pair *const *const signers[] = { by_other, by_node, by_office };
    for (uint32_t n = 0; n < 3; n++) {
        actor.actor.number = n;
        actor.actor.name = span_text("A name");
        (void)test_sign(&out, &org, &actor, signers[n], 1);
        give();
        const struct roster_actor *found_actor = roster_actor(roster, roster_office_at(roster, 0), n);
        ck_assert_int_eq(found_actor != NULL, n > 0);
    }
    size_t count = 0;
    const struct roster_actor *actors = roster_actors_of(roster, roster_office_at(roster, 0), &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(actors[0].number, 1);
    ck_assert_str_eq(actors[1].name, "A name");
}
END_TEST

START_TEST(the_highest_codebook_of_the_roots_is_in_force)
{
    const struct key_pair *signers[] = { &org.roots[0], &org.roots[1] };
    struct statement statement = { .type = STATEMENT_CODEBOOK };
    struct codebook changed = *codebook_reprisals();

    ck_assert_ptr_eq(roster_codebook(roster), codebook_reprisals());
    for (uint32_t n = 0; n < 3; n++) {
        static const uint32_t versions[] = { 7, 9, 8 };
        static const uint32_t in_force[] = { 7, 9, 9 };
        struct buf body = { 0 };
        changed.version = versions[n];
        codebook_encode(&changed, &body);
        statement.body = buf_span(&body);
        (void)test_sign(&out, &org, &statement, signers, 2);
        give();
        ck_assert_uint_eq(roster_codebook(roster)->version, in_force[n]);
        changed.version = 99;
        buf_clear(&body);
        codebook_encode(&changed, &body);
        statement.body = buf_span(&body);
        (void)test_sign(&out, &org, &statement, signers, 1);
        give();
        ck_assert_uint_eq(roster_codebook(roster)->version, in_force[n]);
        buf_free(&body);
    }
}
END_TEST

START_TEST(u14_what_a_later_version_says_is_kept_and_handed_on)
{
    const struct key_pair *signers[] = { &node.sign };
    struct statement statement = { .type = 4711, .body = span_of("\x01", 1) };

    struct hash id = test_sign(&out, &org, &statement, signers, 1);
    struct buf copy = { 0 };
    buf_put_span(&copy, buf_span(&out));
    give();
    ck_assert_uint_eq(roster_newer_count(roster), 1);
    ck_assert(!roster_stands(roster, &id));
    struct buf again = { 0 };
    ck_assert(roster_write(roster, &id, &again));
    ck_assert(span_equal(buf_span(&again), buf_span(&copy)));
    buf_free(&copy);
    buf_free(&again);
}
END_TEST

START_TEST(n11_shared_compartments_are_those_that_both_carry)
{
    const struct roster_compartment *shared[8];
    struct test_office relay;
    struct test_device box;

    test_office_init(&relay, &org, "REL");
    test_office_grant(&relay, &ken.own[0], LEVEL_CARRY);
    (void)test_office_statement(&out, &org, &relay, 2);
    give();
    test_enrol_device(roster, &org, &relay, &box, LEVEL_CARRY);
    size_t count = roster_compartments_shared(roster, roster_device(roster, &node.id),
                                              roster_device(roster, &box.id), shared, 8);
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(shared[0]->role, COMPARTMENT_CONTROL);
    for (size_t n = 1; n < count; n++) {
        ck_assert(shared[n]->role == COMPARTMENT_SHARED || ident_equal(&shared[n]->id, &ken.own[0]));
    }
    ck_assert_uint_eq(roster_compartments_shared(roster, NULL, roster_device(roster, &box.id), shared, 8), 0);
}
END_TEST

/* 3,000 devices: found by every name, and settled in well under the time that a walk for each would take. */
START_TEST(a_large_roster_finds_everybody)
{
    enum { MANY = 3000 };
    static struct hash ids[MANY];

    for (size_t n = 0; n < MANY; n++) {
        struct test_device box;
        test_device_init(&box, &org, LEVEL_READ);
        box.possession = true;
        (void)test_device_statement(&out, &org, &ken, &box);
        ids[n] = box.id;
        /* Signatures were verified when they were stored: this test is about size. */
        ck_assert_int_eq(roster_add_stored(roster, buf_span(&out), NULL), ROSTER_NEW);
        buf_clear(&out);
    }
    settle();
    ck_assert_uint_eq(roster_device_count(roster), MANY + 1);
    for (size_t n = 0; n < MANY; n++) {
        const struct roster_device *device = roster_device(roster, &ids[n]);
        ck_assert_ptr_nonnull(device);
        ck_assert_ptr_eq(roster_device_by_transport_pk(roster, device->transport_pk), device);
        ck_assert_ptr_eq(roster_device_by_sign_pk(roster, device->sign_pk), device);
        ck_assert_ptr_eq(roster_device_by_certificate(roster, device->certificate.bytes), device);
    }
}
END_TEST

START_TEST(a_settle_that_finds_nothing_new_changes_nothing)
{
    uint64_t generation = roster_generation(roster);

    settle();
    ck_assert_uint_eq(roster_generation(roster), generation);
    struct buf copy = { 0 };
    buf_put_span(&copy, buf_span(&org.founding));
    expect_given(roster, &copy, ROSTER_KNOWN);
    settle();
    ck_assert_uint_eq(roster_generation(roster), generation);
}
END_TEST

SUITE_MAIN_WITH("roster", found, dissolve, nothing_stands_before_the_founding_statement_is_here,
                a_device_is_found_by_each_of_its_names, an_office_has_a_pair_and_an_audit_compartment,
                a_level_is_the_lower_of_device_and_office,
                every_device_writes_in_control_and_an_admin_of_cases_is_admin_there_and_in_shared,
                a_device_has_in_shared_the_highest_that_it_has_anywhere,
                u11_one_signature_too_few_is_too_few_and_one_signer_counts_once,
                copies_with_different_signers_unite, a_signature_that_does_not_verify_is_left_out,
                a_statement_of_another_organisation_is_foreign, a_device_needs_its_office_and_itself,
                of_certificates_that_share_a_key_the_lowest_stands,
                a_certificate_that_is_renewed_gives_the_most_of_both, successor_roots_keep_what_they_name,
                addresses_and_actors_count_from_those_who_may_give_them,
                the_highest_codebook_of_the_roots_is_in_force,
                u14_what_a_later_version_says_is_kept_and_handed_on,
                n11_shared_compartments_are_those_that_both_carry, a_large_roster_finds_everybody,
                a_settle_that_finds_nothing_new_changes_nothing)
