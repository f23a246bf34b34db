#include "tests/support/org.h"
#include "store/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int
pair_order(const void *a, const void *b)
{
    return memcmp(((const struct key_pair *)a)->public_key, ((const struct key_pair *)b)->public_key, 32);
}

static int
grant_order(const void *a, const void *b)
{
    return ident_compare(&((const struct statement_grant *)a)->compartment,
                         &((const struct statement_grant *)b)->compartment);
}

/* Grants as a list, in ascending order. */
static struct statement_list
grant_list(struct buf *items, const struct statement_grant *grants, size_t count)
{
    struct statement_grant sorted[TEST_GRANTS_MAX];

    memcpy(sorted, grants, count * sizeof *grants);
    if (count > 0) {
        qsort(sorted, count, sizeof *sorted, grant_order);
    }
    for (size_t n = 0; n < count; n++) {
        statement_put_grant(items, &sorted[n].compartment, sorted[n].level);
    }
    return statement_list_of(items, count);
}

/* The first `count` roots. */
static void
first_roots(const struct key_pair **out, const struct test_org *org, size_t count)
{
    assert(count <= org->root_count);
    for (size_t n = 0; n < count; n++) {
        out[n] = &org->roots[n];
    }
}

struct hash
test_sign(struct buf *out, const struct test_org *org, struct statement *statement,
          const struct key_pair *const *signers, size_t signer_count)
{
    struct hash id;

    statement->org = org->id;
    world_random(&org->world->world, statement->random, sizeof statement->random);
    enum err err = statement_sign(out, statement, signers, signer_count, &id);
    assert(err == ERR_OK);
    return id;
}

void
test_org_init(struct test_org *org, struct test_world *world, size_t root_count, uint32_t needed,
              size_t signed_by)
{
    struct statement statement = { .type = STATEMENT_ORGANISATION };
    const struct key_pair *signers[TEST_ROOTS_MAX];
    struct buf roots = { 0 };

    assert(root_count <= TEST_ROOTS_MAX);
    *org = (struct test_org){ .world = world, .root_count = root_count, .needed = needed };
    world_random(&world->world, org->control.bytes, IDENT_BYTES);
    world_random(&world->world, org->shared.bytes, IDENT_BYTES);
    world_random(&world->world, org->control_key.bytes, KEY_BYTES);
    for (size_t n = 0; n < root_count; n++) {
        crypto_sign_pair(&org->roots[n], &world->world);
    }
    qsort(org->roots, root_count, sizeof *org->roots, pair_order);
    for (size_t n = 0; n < root_count; n++) {
        statement_put_key(&roots, org->roots[n].public_key);
    }
    statement.organisation.name = span_text("Test organisation");
    statement.organisation.roots = statement_list_of(&roots, root_count);
    statement.organisation.needed = needed;
    statement.organisation.control = org->control;
    statement.organisation.shared = org->shared;
    statement.organisation.erasure_signatures = 2;
    first_roots(signers, org, signed_by);
    org->id = test_sign(&org->founding, org, &statement, signers, signed_by);
    buf_free(&roots);
}

void
test_org_free(struct test_org *org)
{
    buf_free(&org->founding);
}

void
test_office_init(struct test_office *office, struct test_org *org, const char *code)
{
    *office = (struct test_office){ .code = code, .until = TEST_UNTIL };
    crypto_sign_pair(&office->pair, &org->world->world);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        world_random(&org->world->world, office->own[n].bytes, IDENT_BYTES);
        test_office_grant(office, &office->own[n], LEVEL_ADMIN);
    }
}

/* Put a grant among others, or change the one that is there. */
static void
put_grant(struct statement_grant *grants, size_t *count, const struct ident *compartment, enum level level)
{
    for (size_t n = 0; n < *count; n++) {
        if (ident_equal(&grants[n].compartment, compartment)) {
            grants[n].level = level;
            return;
        }
    }
    assert(*count < TEST_GRANTS_MAX);
    grants[(*count)++] = (struct statement_grant){ *compartment, level };
}

void
test_office_grant(struct test_office *office, const struct ident *compartment, enum level level)
{
    put_grant(office->grants, &office->grant_count, compartment, level);
}

void
test_device_init(struct test_device *device, struct test_org *org, enum level any)
{
    *device = (struct test_device){ .any = any, .until = TEST_UNTIL };
    crypto_sign_pair(&device->sign, &org->world->world);
    crypto_box_pair(&device->box, &org->world->world);
    crypto_box_pair(&device->transport, &org->world->world);
    device_id_of(device->sign.public_key, &device->id);
}

void
test_device_grant(struct test_device *device, const struct ident *compartment, enum level level)
{
    put_grant(device->grants, &device->grant_count, compartment, level);
}

struct hash
test_office_statement(struct buf *out, const struct test_org *org, const struct test_office *office,
                      size_t signed_by)
{
    struct statement statement = { .type = STATEMENT_OFFICE };
    const struct key_pair *signers[TEST_ROOTS_MAX];
    struct buf grants = { 0 };

    memcpy(statement.office.office_pk, office->pair.public_key, SIGN_PK_BYTES);
    statement.office.code = span_text(office->code);
    statement.office.name = span_text(office->code);
    memcpy(statement.office.own, office->own, sizeof office->own);
    statement.office.grants = grant_list(&grants, office->grants, office->grant_count);
    statement.office.until = office->until;
    first_roots(signers, org, signed_by);
    struct hash id = test_sign(out, org, &statement, signers, signed_by);
    buf_free(&grants);
    return id;
}

struct hash
test_device_statement(struct buf *out, const struct test_org *org, const struct test_office *office,
                      const struct test_device *device)
{
    struct statement statement = { .type = STATEMENT_DEVICE };
    const struct key_pair *signers[] = { &office->pair, &device->sign };
    uint8_t possession[SIGNATURE_BYTES];
    struct buf grants = { 0 };

    memcpy(statement.device.sign_pk, device->sign.public_key, SIGN_PK_BYTES);
    memcpy(statement.device.box_pk, device->box.public_key, 32);
    memcpy(statement.device.transport_pk, device->transport.public_key, 32);
    memcpy(statement.device.office_pk, office->pair.public_key, SIGN_PK_BYTES);
    statement.device.grants = grant_list(&grants, device->grants, device->grant_count);
    statement.device.any = device->any;
    statement.device.roles = ROLE_CASE_WORK;
    statement.device.name = span_text("device");
    statement.device.until = device->until;
    if (device->possession) {
        statement_possession_make(possession, &device->sign, device->box.public_key,
                                  device->transport.public_key);
        statement.device.possession = possession;
    }
    struct hash id = test_sign(out, org, &statement, signers, device->possession ? 1 : 2);
    buf_free(&grants);
    return id;
}

static int
hash_order(const void *a, const void *b)
{
    return hash_compare(a, b);
}

static int
ident_order(const void *a, const void *b)
{
    return ident_compare(a, b);
}

/* Statement ids as a list, in ascending order. */
static struct statement_list
id_list(struct buf *items, const struct hash *ids, size_t count)
{
    struct hash sorted[TEST_KEEP_MAX];

    assert(count <= TEST_KEEP_MAX);
    if (count > 0) {
        memcpy(sorted, ids, count * sizeof *ids);
        qsort(sorted, count, sizeof *sorted, hash_order);
    }
    for (size_t n = 0; n < count; n++) {
        statement_put_key(items, sorted[n].bytes);
    }
    return statement_list_of(items, count);
}

struct hash
test_revoke_statement(struct buf *out, const struct test_org *org, const uint8_t key[SIGN_PK_BYTES],
                      const struct hash *keep, size_t keep_count, const struct key_pair *const *signers,
                      size_t signer_count)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf items = { 0 };

    memcpy(statement.revoke.key, key, SIGN_PK_BYTES);
    statement.revoke.reason = REVOKE_STOLEN;
    statement.revoke.keep = id_list(&items, keep, keep_count);
    struct hash id = test_sign(out, org, &statement, signers, signer_count);
    buf_free(&items);
    return id;
}

struct hash
test_extend_statement(struct buf *out, const struct test_org *org, const struct hash *revoke,
                      const struct hash *keep, size_t keep_count, const struct key_pair *const *signers,
                      size_t signer_count)
{
    struct statement statement = { .type = STATEMENT_EXTEND };
    struct buf items = { 0 };

    statement.extend.revoke = *revoke;
    statement.extend.keep = id_list(&items, keep, keep_count);
    struct hash id = test_sign(out, org, &statement, signers, signer_count);
    buf_free(&items);
    return id;
}

struct hash
test_erase_statement(struct buf *out, const struct test_org *org, uint8_t order,
                     const struct ident *compartments, size_t count, const struct key_pair *const *signers,
                     size_t signer_count)
{
    struct statement statement = { .type = STATEMENT_ERASE };
    struct ident sorted[TEST_KEEP_MAX];
    struct key erase_key = { { order } };
    struct buf items = { 0 };

    assert(count > 0 && count <= TEST_KEEP_MAX);
    memcpy(sorted, compartments, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ident_order);
    for (size_t n = 0; n < count; n++) {
        statement_put_erase(&items, &sorted[n], &erase_key);
    }
    statement.erase.order.bytes[0] = order;
    statement.erase.keys = statement_list_of(&items, count);
    struct hash id = test_sign(out, org, &statement, signers, signer_count);
    buf_free(&items);
    return id;
}

void
expect_given(struct roster *roster, struct buf *signed_statement, enum roster_news expected)
{
    assert(!signed_statement->failed);
    enum roster_news news = roster_add(roster, buf_span(signed_statement), NULL);
    assert(news == expected);
    buf_free(signed_statement);
}

struct roster *
test_roster(struct test_org *org)
{
    struct roster *roster = roster_new(&org->id);

    assert(roster != NULL);
    enum roster_news news = roster_add(roster, buf_span(&org->founding), NULL);
    assert(news == ROSTER_NEW);
    enum err err = roster_settle(roster);
    assert(err == ERR_OK);
    return roster;
}

void
test_enrol_office(struct roster *roster, struct test_org *org, struct test_office *office, const char *code)
{
    struct buf out = { 0 };

    test_office_init(office, org, code);
    (void)test_office_statement(&out, org, office, org->needed);
    expect_given(roster, &out, ROSTER_NEW);
    enum err err = roster_settle(roster);
    assert(err == ERR_OK);
}

void
test_enrol_device(struct roster *roster, struct test_org *org, struct test_office *office,
                  struct test_device *device, enum level any)
{
    struct buf out = { 0 };

    test_device_init(device, org, any);
    (void)test_device_statement(&out, org, office, device);
    expect_given(roster, &out, ROSTER_NEW);
    enum err err = roster_settle(roster);
    assert(err == ERR_OK);
}
