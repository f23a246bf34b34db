/* org.h - an organisation for tests: its keys in the open, its statements signed.
 *
 *     test_org --+-- roots (n of which m sign)
 *                +-- offices, each with three compartments
 *                       +-- devices with three key pairs
 *
 * Every maker appends one signed statement to a buf and gives its id; test_give adds
 * it to a roster. Nothing is checked: wrong statements can be made too.
 */
#pragma once

#include "sync/roster.h"
#include "tests/support/world.h"

enum { TEST_ROOTS_MAX = 8, TEST_GRANTS_MAX = 32, TEST_KEEP_MAX = 32 };

#define TEST_UNTIL UINT64_C(1800000000)

struct test_org {
    struct test_world *world;
    struct key_pair roots[TEST_ROOTS_MAX]; /* ascending by public key */
    size_t root_count;
    uint32_t needed;
    struct ident control;
    struct ident shared;
    struct key control_key;
    struct hash id;
    struct buf founding; /* the signed statement */
};

struct test_office {
    struct key_pair pair;
    const char *code;
    struct ident own[OWN_COUNT];
    struct statement_grant grants[TEST_GRANTS_MAX]; /* any order, each compartment once */
    size_t grant_count;
    uint64_t until;
};

struct test_device {
    struct key_pair sign;
    struct key_pair box;
    struct key_pair transport;
    struct hash id;
    struct statement_grant grants[TEST_GRANTS_MAX];
    size_t grant_count;
    enum level any;
    uint64_t until;
    bool possession; /* true: the certificate proves it, and the device does not sign */
};

/* An organisation whose founding statement the first `signed_by` roots signed. */
void test_org_init(struct test_org *org, struct test_world *world, size_t root_count, uint32_t needed,
                   size_t signed_by);
void test_org_free(struct test_org *org);

/* Keys and three compartments, with admin granted in each. */
void test_office_init(struct test_office *office, struct test_org *org, const char *code);
void test_office_grant(struct test_office *office, const struct ident *compartment, enum level level);

/* Keys; the level where the certificate names none is `any`. */
void test_device_init(struct test_device *device, struct test_org *org, enum level any);
void test_device_grant(struct test_device *device, const struct ident *compartment, enum level level);

/* The signed statement of each, appended to `out`. The first `signed_by` roots sign. */
struct hash test_office_statement(struct buf *out, const struct test_org *org,
                                  const struct test_office *office, size_t signed_by);
struct hash test_device_statement(struct buf *out, const struct test_org *org,
                                  const struct test_office *office, const struct test_device *device);

/* A revocation of `key`, or an extension of one, with no cuts, that keeps these statements (any order, each once). */
struct hash test_revoke_statement(struct buf *out, const struct test_org *org,
                                  const uint8_t key[SIGN_PK_BYTES], const struct hash *keep,
                                  size_t keep_count, const struct key_pair *const *signers,
                                  size_t signer_count);
struct hash test_extend_statement(struct buf *out, const struct test_org *org, const struct hash *revoke,
                                  const struct hash *keep, size_t keep_count,
                                  const struct key_pair *const *signers, size_t signer_count);

/* An erasure of one record key in each of these compartments (any order, each once): `order` is written into the
 * order's name and into every key. */
struct hash test_erase_statement(struct buf *out, const struct test_org *org, uint8_t order,
                                 const struct ident *compartments, size_t count,
                                 const struct key_pair *const *signers, size_t signer_count);

/* Sign a statement, with a fresh random, by these. */
struct hash test_sign(struct buf *out, const struct test_org *org, struct statement *statement,
                      const struct key_pair *const *signers, size_t signer_count);

/* Add what `signed_statement` holds, and empty it. The news are as expected: an assert. */
void expect_given(struct roster *roster, struct buf *signed_statement, enum roster_news expected);

/* A settled roster with this organisation, office and device in it. */
struct roster *test_roster(struct test_org *org);
void test_enrol_office(struct roster *roster, struct test_org *org, struct test_office *office,
                       const char *code);
void test_enrol_device(struct roster *roster, struct test_org *org, struct test_office *office,
                       struct test_device *device, enum level any);
