/* roster_time.c - what is taken back, what is kept, and what nobody can take back.
 *
 *     roots (2 of 3) --+-- HQ, admin everywhere -- hq
 *                      +-- KEN -- ken (admin), clerk (write)
 *                      +-- COL -- col (admin)
 */
#include "sync/policy.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <string.h>

static struct test_world world;
static struct test_org org;
static struct test_office ken_office;
static struct test_office col_office;
static struct test_office hq_office;
static struct test_device ken;
static struct test_device clerk;
static struct test_device col;
static struct test_device hq;
static struct roster *roster;
static struct buf out;

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

static void
found(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 11);
    test_org_init(&org, &world, 3, 2, 2);
    roster = test_roster(&org);
    test_enrol_office(roster, &org, &ken_office, "KEN");
    test_enrol_office(roster, &org, &col_office, "COL");
    test_office_init(&hq_office, &org, "HQ");
    for (size_t n = 0; n < OWN_COUNT; n++) {
        test_office_grant(&hq_office, &ken_office.own[n], LEVEL_ADMIN);
        test_office_grant(&hq_office, &col_office.own[n], LEVEL_ADMIN);
    }
    out = (struct buf){ 0 };
    (void)test_office_statement(&out, &org, &hq_office, 2);
    give();
    test_enrol_device(roster, &org, &ken_office, &ken, LEVEL_ADMIN);
    test_enrol_device(roster, &org, &ken_office, &clerk, LEVEL_WRITE);
    test_enrol_device(roster, &org, &col_office, &col, LEVEL_ADMIN);
    test_enrol_device(roster, &org, &hq_office, &hq, LEVEL_ADMIN);
}

static void
dissolve(void)
{
    buf_free(&out);
    roster_free(&roster);
    test_org_free(&org);
}

/* Who signs, by bits. */
enum {
    BY_ROOT_1 = 1,
    BY_ROOT_2 = 2,
    BY_ROOTS = 3,
    BY_KEN_OFFICE = 4,
    BY_COL_OFFICE = 8,
    BY_HQ_OFFICE = 16,
    BY_KEN = 32,
    BY_CLERK = 64,
    BY_COL = 128,
    BY_HQ = 256,
    SIGNER_COUNT = 9,
};

static size_t
signers_of(const struct key_pair *out_pairs[SIGNER_COUNT], unsigned who)
{
    const struct key_pair *const all[SIGNER_COUNT] = {
        &org.roots[0], &org.roots[1], &ken_office.pair, &col_office.pair, &hq_office.pair,
        &ken.sign,     &clerk.sign,   &col.sign,        &hq.sign,
    };
    size_t count = 0;

    for (size_t n = 0; n < SIGNER_COUNT; n++) {
        if ((who >> n & 1) != 0) {
            out_pairs[count++] = all[n];
        }
    }
    return count;
}

static struct hash
sign(struct statement *statement, unsigned who)
{
    const struct key_pair *signers[SIGNER_COUNT];
    size_t count = signers_of(signers, who);

    buf_clear(&out);
    return test_sign(&out, &org, statement, signers, count);
}

static struct hash
revoke(const uint8_t *key, const struct hash *keep, size_t keep_count, unsigned who)
{
    const struct key_pair *signers[SIGNER_COUNT];
    size_t count = signers_of(signers, who);

    struct hash id = test_revoke_statement(&out, &org, key, keep, keep_count, signers, count);
    give();
    return id;
}

static struct hash
extend(const struct hash *revocation, const struct hash *keep, size_t keep_count, unsigned who)
{
    const struct key_pair *signers[SIGNER_COUNT];
    size_t count = signers_of(signers, who);

    struct hash id = test_extend_statement(&out, &org, revocation, keep, keep_count, signers, count);
    give();
    return id;
}

static struct hash
erase(uint8_t order, const struct ident *compartments, size_t compartment_count, unsigned who)
{
    const struct key_pair *signers[SIGNER_COUNT];
    size_t count = signers_of(signers, who);

    struct hash id = test_erase_statement(&out, &org, order, compartments, compartment_count, signers, count);
    give();
    return id;
}

/* An epoch of KEN's cases that boxes these devices; its number is one more than its parent's, which may be NULL. */
static struct hash
make_epoch(const struct hash *parent, const struct hash *boxed, size_t boxed_count, unsigned who)
{
    static const uint8_t link[EPOCH_LINK_BYTES];
    static const uint8_t sealed[EPOCH_BOX_BYTES];
    struct statement statement = { .type = STATEMENT_EPOCH };
    struct buf parents = { 0 };
    struct buf boxes = { 0 };

    statement.epoch.compartment = ken_office.own[OWN_CASES];
    statement.epoch.number = 1;
    if (parent != NULL) {
        statement_put_parent(&parents, parent, link);
        statement.epoch.parents = statement_list_of(&parents, 1);
        statement.epoch.number = 1 + roster_epoch(roster, parent)->number;
    }
    for (size_t n = 0; n < boxed_count; n++) {
        ck_assert(n == 0 || hash_compare(&boxed[n - 1], &boxed[n]) < 0);
        statement_put_box(&boxes, &boxed[n], sealed);
    }
    statement.epoch.boxes = statement_list_of(&boxes, boxed_count);
    struct hash id = sign(&statement, who);
    give();
    buf_free(&parents);
    buf_free(&boxes);
    return id;
}

static void
box(const struct hash *epoch_id, const struct hash *device_id, unsigned who)
{
    static const uint8_t sealed[EPOCH_BOX_BYTES];
    struct statement statement = { .type = STATEMENT_BOX };

    statement.box.epoch_id = *epoch_id;
    statement.box.device_id = *device_id;
    statement.box.sealed = sealed;
    (void)sign(&statement, who);
    give();
}

/* What KEN's cases are written with; zero: nothing. */
static struct hash
in_force(void)
{
    const struct roster_compartment *cases = roster_compartment(roster, &ken_office.own[OWN_CASES]);

    return cases->current == NULL ? (struct hash){ { 0 } } : cases->current->epoch_id;
}

static bool
is_in_force(const struct hash *epoch_id)
{
    struct hash current = in_force();

    return hash_equal(&current, epoch_id);
}

static struct hash
certificate_of(const struct test_device *device)
{
    return roster_author(roster, &device->id)->certificate;
}

/* --- who may say what --- */

/* What the table below has signed by one after the other. */
enum subject {
    A_ROOT_SET,
    AN_OFFICE,
    A_DEVICE,
    A_REVOCATION_OF_A_DEVICE,
    A_REVOCATION_OF_AN_OFFICE,
    AN_EXTENSION_OF_THE_ROOTS,
    AN_EXTENSION_OF_THE_OFFICE,
    AN_EPOCH,
    A_BOX,
    A_CODEBOOK,
    AN_ERASURE,
    AN_ADDRESS,
    AN_ACTOR,
};

static const struct {
    enum subject subject;
    unsigned who;
    bool counts;
} asked[] = {
    { A_ROOT_SET, BY_ROOTS, true },
    { A_ROOT_SET, BY_ROOT_1, false },
    { A_ROOT_SET, BY_ROOT_1 | BY_KEN_OFFICE | BY_HQ_OFFICE | BY_HQ, false },
    { AN_OFFICE, BY_ROOTS, true },
    { AN_OFFICE, BY_ROOT_2, false },
    { AN_OFFICE, BY_ROOT_2 | BY_HQ_OFFICE | BY_KEN_OFFICE, false },
    { A_DEVICE, BY_KEN_OFFICE, true },
    { A_DEVICE, BY_ROOTS, false },
    { A_DEVICE, BY_HQ_OFFICE | BY_COL_OFFICE | BY_KEN, false },
    { A_REVOCATION_OF_A_DEVICE, BY_ROOTS, true },
    { A_REVOCATION_OF_A_DEVICE, BY_KEN_OFFICE, true },
    { A_REVOCATION_OF_A_DEVICE, BY_ROOT_1, false },
    { A_REVOCATION_OF_A_DEVICE, BY_COL_OFFICE, false },
    { A_REVOCATION_OF_A_DEVICE, BY_HQ_OFFICE | BY_HQ, false },
    { A_REVOCATION_OF_A_DEVICE, BY_KEN | BY_CLERK | BY_COL, false },
    { A_REVOCATION_OF_AN_OFFICE, BY_ROOTS, true },
    { A_REVOCATION_OF_AN_OFFICE, BY_ROOT_1, false },
    { A_REVOCATION_OF_AN_OFFICE, BY_COL_OFFICE | BY_HQ_OFFICE | BY_HQ, false },
    { A_REVOCATION_OF_AN_OFFICE, BY_KEN_OFFICE, false },
    { AN_EXTENSION_OF_THE_ROOTS, BY_ROOTS, true },
    { AN_EXTENSION_OF_THE_ROOTS, BY_ROOT_2, false },
    { AN_EXTENSION_OF_THE_ROOTS, BY_KEN_OFFICE, false },
    { AN_EXTENSION_OF_THE_OFFICE, BY_ROOTS, true },
    { AN_EXTENSION_OF_THE_OFFICE, BY_KEN_OFFICE, true },
    { AN_EXTENSION_OF_THE_OFFICE, BY_COL_OFFICE | BY_HQ_OFFICE | BY_KEN | BY_HQ, false },
    { AN_EPOCH, BY_KEN, true },
    { AN_EPOCH, BY_HQ, true },
    { AN_EPOCH, BY_CLERK | BY_COL, false },
    { AN_EPOCH, BY_KEN_OFFICE | BY_ROOTS, false },
    { A_BOX, BY_KEN, true },
    { A_BOX, BY_CLERK | BY_COL | BY_KEN_OFFICE | BY_ROOTS, false },
    { A_CODEBOOK, BY_ROOTS, true },
    { A_CODEBOOK, BY_ROOT_1 | BY_KEN_OFFICE | BY_HQ_OFFICE | BY_HQ, false },
    { AN_ERASURE, BY_KEN | BY_HQ, true },
    { AN_ERASURE, BY_KEN, false },
    { AN_ERASURE, BY_KEN | BY_CLERK, false },
    { AN_ERASURE, BY_KEN | BY_COL, false },
    { AN_ERASURE, BY_KEN | BY_KEN_OFFICE | BY_HQ_OFFICE | BY_ROOTS, false },
    { AN_ADDRESS, BY_CLERK, true },
    { AN_ADDRESS, BY_KEN | BY_HQ | BY_KEN_OFFICE | BY_ROOTS, false },
    { AN_ACTOR, BY_KEN_OFFICE, true },
    { AN_ACTOR, BY_KEN, true },
    { AN_ACTOR, BY_HQ, true },
    { AN_ACTOR, BY_CLERK | BY_COL | BY_COL_OFFICE | BY_HQ_OFFICE | BY_ROOTS, false },
};

/* The example of sync/FORMATS.md. */
static const char small_codebook[] =
    "a600010165736d616c6c02818301646361736564436173650381860663616374644163747302000104828c016b7265636f72645f"
    "6b696e64644b696e640002030101000000008c02686163742e6461746564446174650602070002000200000581860166636f6c6f"
    "757266436f6c6f7572008185016372656463526564000080";

/* Fill in a statement about `subject`; what it lends lies in `list` and in static memory. */
static void
describe(enum subject subject, struct statement *statement, struct buf *list)
{
    static uint8_t possession[SIGNATURE_BYTES];
    static uint8_t sealed[EPOCH_BOX_BYTES];
    static uint8_t codebook[128];
    struct test_device fresh;
    struct test_office office;
    struct hash first;

    *statement = (struct statement){ 0 };
    switch (subject) {
    case A_ROOT_SET:
        statement->type = STATEMENT_ROOTS;
        statement->roots.before = org.id;
        statement_put_key(list, org.roots[0].public_key);
        statement->roots.roots = statement_list_of(list, 1);
        statement->roots.needed = 1;
        break;
    case AN_OFFICE:
        statement->type = STATEMENT_OFFICE;
        test_office_init(&office, &org, "NEW");
        memcpy(statement->office.office_pk, office.pair.public_key, SIGN_PK_BYTES);
        statement->office.code = span_text("NEW");
        statement->office.name = span_text("NEW");
        memcpy(statement->office.own, office.own, sizeof office.own);
        break;
    case A_DEVICE:
        statement->type = STATEMENT_DEVICE;
        test_device_init(&fresh, &org, LEVEL_READ);
        memcpy(statement->device.sign_pk, fresh.sign.public_key, SIGN_PK_BYTES);
        memcpy(statement->device.box_pk, fresh.box.public_key, 32);
        memcpy(statement->device.transport_pk, fresh.transport.public_key, 32);
        memcpy(statement->device.office_pk, ken_office.pair.public_key, SIGN_PK_BYTES);
        statement->device.name = span_text("fresh");
        statement_possession_make(possession, &fresh.sign, fresh.box.public_key, fresh.transport.public_key);
        statement->device.possession = possession;
        break;
    case A_REVOCATION_OF_A_DEVICE:
    case A_REVOCATION_OF_AN_OFFICE:
        statement->type = STATEMENT_REVOKE;
        memcpy(statement->revoke.key,
               subject == A_REVOCATION_OF_A_DEVICE ? clerk.sign.public_key : ken_office.pair.public_key,
               SIGN_PK_BYTES);
        break;
    case AN_EXTENSION_OF_THE_ROOTS:
    case AN_EXTENSION_OF_THE_OFFICE:
        statement->type = STATEMENT_EXTEND;
        statement->extend.revoke = revoke(clerk.sign.public_key, NULL, 0,
                                          subject == AN_EXTENSION_OF_THE_ROOTS ? BY_ROOTS : BY_KEN_OFFICE);
        break;
    case AN_EPOCH:
        statement->type = STATEMENT_EPOCH;
        statement->epoch.compartment = ken_office.own[OWN_CASES];
        statement->epoch.number = 1;
        break;
    case A_BOX:
        first = make_epoch(NULL, NULL, 0, BY_HQ);
        statement->type = STATEMENT_BOX;
        statement->box.epoch_id = first;
        statement->box.device_id = clerk.id;
        statement->box.sealed = sealed;
        break;
    case A_CODEBOOK:
        statement->type = STATEMENT_CODEBOOK;
        ck_assert(bytes_from_hex(codebook, sizeof codebook, small_codebook));
        statement->body = span_of(codebook, sizeof codebook);
        break;
    case AN_ERASURE:
        statement->type = STATEMENT_ERASE;
        statement_put_erase(list, &ken_office.own[OWN_CASES], &(struct key){ { 1 } });
        statement->erase.keys = statement_list_of(list, 1);
        break;
    case AN_ADDRESS:
        statement->type = STATEMENT_ADDRESS;
        statement->address.device_id = clerk.id;
        statement->address.endpoint = span_text("tcp://192.0.2.1:1");
        break;
    case AN_ACTOR:
        statement->type = STATEMENT_ACTOR;
        memcpy(statement->actor.office_pk, ken_office.pair.public_key, SIGN_PK_BYTES);
        statement->actor.name = span_text("Amina");
        break;
    }
}

START_TEST(u11_a_statement_counts_only_with_the_signatures_its_type_asks_for)
{
    for (size_t row = 0; row < sizeof asked / sizeof asked[0]; row++) {
        struct statement statement;
        struct buf list = { 0 };
        /* An organisation of its own, so that no row leans on another. */
        dissolve();
        found();
        describe(asked[row].subject, &statement, &list);
        struct hash id = sign(&statement, asked[row].who);
        give();
        ck_assert_msg(roster_stands(roster, &id) == asked[row].counts, "row %zu: subject %d signed by %x",
                      row, (int)asked[row].subject, asked[row].who);
        buf_free(&list);
    }
}
END_TEST

/* The same signature again, in the same copy or another, is one signature. */
START_TEST(u11_a_signer_counts_once_however_often_it_is_brought)
{
    const struct ident cases = ken_office.own[OWN_CASES];
    struct hash id = erase(1, &cases, 1, BY_KEN);
    struct statement_signature signature;
    struct statement statement;
    struct buf twice = { 0 };

    ck_assert(roster_write(roster, &id, &out));
    ck_assert(statement_read(buf_span(&out), &statement));
    signature = statement_signature_at(&statement.signers, 0);
    statement_write(&twice, statement.bytes, &signature, 1);
    expect_given(roster, &twice, ROSTER_KNOWN);
    settle();
    ck_assert_uint_eq(roster_erasure_at(roster, 0)->signed_count, 1);
    ck_assert(!roster_stands(roster, &id));
    /* The one that lacks comes in a copy of its own. */
    statement_signature_make(&signature, &id, &hq.sign);
    statement_write(&twice, statement.bytes, &signature, 1);
    expect_given(roster, &twice, ROSTER_NEW);
    settle();
    ck_assert(roster_stands(roster, &id));
}
END_TEST

/* --- revoked devices --- */

START_TEST(a_revoked_device_is_an_author_and_no_device)
{
    struct hash certificate = certificate_of(&clerk);
    struct hash id = revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    const struct roster_device *author = roster_author(roster, &clerk.id);
    const struct roster_compartment *shared[8];
    size_t count = 0;

    ck_assert(roster_stands(roster, &id));
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    ck_assert_ptr_null(roster_device_by_sign_pk(roster, clerk.sign.public_key));
    ck_assert_ptr_null(roster_device_by_transport_pk(roster, clerk.transport.public_key));
    ck_assert_ptr_null(roster_device_by_certificate(roster, certificate.bytes));
    ck_assert_uint_eq(roster_device_count(roster), 3);
    for (size_t n = 0; n < 3; n++) {
        ck_assert(!roster_device_at(roster, n)->revoked);
        ck_assert_uint_eq(roster_device_at(roster, n)->index, n);
    }
    ck_assert_uint_eq(roster_author_count(roster), 4);
    ck_assert_ptr_nonnull(author);
    ck_assert(author->revoked);
    ck_assert_ptr_eq(roster_author_by_sign_pk(roster, clerk.sign.public_key), author);
    ck_assert_str_eq(author->office->code, "KEN");
    ck_assert_int_eq(roster_author_level(roster, author, &ken_office.own[0]), LEVEL_WRITE);
    ck_assert_int_eq(roster_author_level(roster, author, &org.control), LEVEL_WRITE);
    ck_assert_int_eq(roster_level(roster, author, &ken_office.own[0]), LEVEL_NONE);
    ck_assert_int_eq(roster_level(roster, author, &org.control), LEVEL_NONE);
    ck_assert_uint_eq(roster_compartments_shared(roster, author, roster_device(roster, &ken.id), shared, 8),
                      0);
    const struct roster_revocation *of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert(hash_equal(&of->stmt_id, &id));
    ck_assert_uint_eq(of->reason, REVOKE_STOLEN);
    ck_assert_str_eq(of->office->code, "KEN");
    ck_assert(!of->by_roots);
    ck_assert(roster_revocation_reaches(roster, of, &ken_office.own[0]));
    (void)roster_revocations_of(roster, ken.sign.public_key, &count);
    ck_assert_uint_eq(count, 0);
    /* Nothing is written by it from now on; whoever never was certified is unknown. */
    ck_assert_ptr_null(roster_author(roster, &org.id));
}
END_TEST

/* What the device signed counts where every revocation of it keeps it. */
START_TEST(every_revocation_must_keep_what_is_to_count)
{
    struct hash epoch = make_epoch(NULL, NULL, 0, BY_KEN);
    struct hash other = make_epoch(NULL, NULL, 0, BY_KEN);
    const struct hash both[] = { epoch, other };

    (void)revoke(ken.sign.public_key, both, 2, BY_KEN_OFFICE);
    ck_assert(roster_stands(roster, &epoch) && roster_stands(roster, &other));
    struct hash second = revoke(ken.sign.public_key, &epoch, 1, BY_ROOTS);
    ck_assert(roster_stands(roster, &epoch) && !roster_stands(roster, &other));
    /* An extension adds to the revocation that it names. */
    struct hash extension = extend(&second, &other, 1, BY_ROOTS);
    ck_assert(roster_stands(roster, &extension));
    ck_assert(roster_stands(roster, &epoch) && roster_stands(roster, &other));
    struct hash third = revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert(!roster_stands(roster, &epoch) && !roster_stands(roster, &other));
    (void)extend(&third, &other, 1, BY_KEN_OFFICE);
    ck_assert(!roster_stands(roster, &epoch) && roster_stands(roster, &other));
    /* It says nothing new all the same, however it is kept. */
    ck_assert_ptr_null(roster_device(roster, &ken.id));
}
END_TEST

START_TEST(an_extension_counts_from_whoever_revoked_and_from_the_roots)
{
    struct hash epoch = make_epoch(NULL, NULL, 0, BY_KEN);
    struct hash by_roots = revoke(ken.sign.public_key, NULL, 0, BY_ROOTS);

    struct hash too_low = extend(&by_roots, &epoch, 1, BY_KEN_OFFICE);
    ck_assert(!roster_stands(roster, &too_low) && !roster_stands(roster, &epoch));
    (void)extend(&by_roots, &epoch, 1, BY_ROOTS);
    ck_assert(roster_stands(roster, &epoch));
    struct hash by_office = revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    struct hash unrelated = extend(&by_office, &epoch, 1, BY_HQ_OFFICE);
    ck_assert(!roster_stands(roster, &unrelated) && !roster_stands(roster, &epoch));
    struct hash own = extend(&by_office, &epoch, 1, BY_KEN_OFFICE);
    ck_assert(roster_stands(roster, &own) && roster_stands(roster, &epoch));
    /* The office's own word falls with the office. */
    const struct hash keep[] = { by_office, certificate_of(&ken), certificate_of(&clerk) };
    (void)revoke(ken_office.pair.public_key, keep, 3, BY_ROOTS);
    ck_assert(roster_stands(roster, &by_office));
    ck_assert(!roster_stands(roster, &own) && !roster_stands(roster, &epoch));
    (void)extend(&by_office, &epoch, 1, BY_ROOTS);
    ck_assert(roster_stands(roster, &epoch));
}
END_TEST

START_TEST(lists_of_a_revocation_and_its_extensions_are_one)
{
    const struct statement_cut cuts[] = { { { { 1 } }, 4, { { 9 } } },
                                          { { { 1 } }, 300, { { 1 } } },
                                          { { { 2 } }, 0, { { 7 } } } };
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf items = { 0 };
    size_t count = 0;

    memcpy(statement.revoke.key, clerk.sign.public_key, SIGN_PK_BYTES);
    statement_put_cut(&items, &cuts[1]);
    statement.revoke.cuts = statement_list_of(&items, 1);
    struct hash id = sign(&statement, BY_ROOTS);
    give();
    for (size_t n = 0; n < 3; n += 2) {
        statement = (struct statement){ .type = STATEMENT_EXTEND };
        buf_clear(&items);
        for (size_t at = n == 0 ? 0 : 1; at < n + 2 && at < 3; at++) {
            statement_put_cut(&items, &cuts[at]);
        }
        statement.extend.revoke = id;
        statement.extend.cuts = statement_list_of(&items, 2);
        (void)sign(&statement, BY_ROOTS);
        give();
    }
    const struct roster_revocation *of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(of->cut_count, 3);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(statement_cut_compare(&of->cuts[n], &cuts[n]), 0);
    }
    ck_assert_uint_eq(of->keep_count, 0);
    ck_assert_ptr_eq(roster_revocation_at(roster, 0), of);
    ck_assert_uint_eq(roster_revocation_count(roster), 1);
    buf_free(&items);
}
END_TEST

/* A certificate holds the device's own proof, which anybody can copy: an office that certifies another's device takes
 * back its own certificate, and no more. */
START_TEST(nobody_revokes_what_an_equal_gave)
{
    struct test_device copied = clerk;
    size_t count = 0;

    copied.possession = true;
    copied.any = LEVEL_READ;
    (void)test_device_statement(&out, &org, &col_office, &copied);
    give();
    ck_assert_int_eq(roster_level(roster, roster_device(roster, &clerk.id), &col_office.own[0]), LEVEL_READ);
    struct hash id = revoke(clerk.sign.public_key, NULL, 0, BY_COL_OFFICE);
    ck_assert(roster_stands(roster, &id));
    const struct roster_device *device = roster_device(roster, &clerk.id);
    ck_assert_ptr_nonnull(device);
    ck_assert_int_eq(roster_level(roster, device, &ken_office.own[0]), LEVEL_WRITE);
    ck_assert_int_eq(roster_level(roster, device, &col_office.own[0]), LEVEL_NONE);
    ck_assert_str_eq(device->office->code, "KEN");
    const struct roster_revocation *of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert(!roster_revocation_reaches(roster, of, &ken_office.own[0]));
    ck_assert(!roster_revocation_reaches(roster, of, &org.control));
    ck_assert(roster_revocation_reaches(roster, of, &col_office.own[0]));
    /* Its own office revokes it too: now nothing is left. */
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert_uint_eq(count, 2);
    for (size_t n = 0; n < 2; n++) {
        ck_assert(roster_revocation_reaches(roster, &of[n], &ken_office.own[0]));
        ck_assert(roster_revocation_reaches(roster, &of[n], &org.control));
    }
}
END_TEST

/* Nor does an office bring back what another took: what it gives anew is its own to give. */
START_TEST(a_second_office_does_not_bring_a_revoked_device_back_where_the_first_revoked_it)
{
    struct test_device again = clerk;
    size_t count = 0;

    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    again.possession = true;
    (void)test_device_statement(&out, &org, &col_office, &again);
    give();
    const struct roster_device *device = roster_device(roster, &clerk.id);
    ck_assert_ptr_nonnull(device);
    ck_assert_str_eq(device->office->code, "COL");
    ck_assert_int_eq(roster_level(roster, device, &ken_office.own[0]), LEVEL_NONE);
    ck_assert_int_eq(roster_level(roster, device, &col_office.own[0]), LEVEL_WRITE);
    const struct roster_revocation *of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert(roster_revocation_reaches(roster, of, &ken_office.own[0]));
    /* By the roots there is no way round. */
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_ROOTS);
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    of = roster_revocations_of(roster, clerk.sign.public_key, &count);
    ck_assert_uint_eq(count, 2);
}
END_TEST

/* --- revoked offices --- */

START_TEST(of_a_revoked_office_only_what_is_kept_counts)
{
    const struct hash keep[] = { certificate_of(&ken) };
    const struct roster_office *office = roster_office(roster, ken_office.pair.public_key);
    struct test_device late;

    ck_assert(!office->revoked);
    (void)revoke(ken_office.pair.public_key, keep, 1, BY_ROOTS);
    office = roster_office(roster, ken_office.pair.public_key);
    ck_assert_ptr_nonnull(office);
    ck_assert(office->revoked);
    ck_assert(!roster_office(roster, col_office.pair.public_key)->revoked);
    ck_assert_ptr_nonnull(roster_device(roster, &ken.id));
    ck_assert_int_eq(roster_level(roster, roster_device(roster, &ken.id), &ken_office.own[0]), LEVEL_ADMIN);
    /* The clerk's certificate fell: it is no author either, but it was one. */
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    ck_assert_ptr_null(roster_author(roster, &clerk.id));
    ck_assert(roster_ever_certified(roster, clerk.sign.public_key));
    ck_assert_int_eq(roster_ever_level(roster, clerk.sign.public_key, &ken_office.own[0]), LEVEL_WRITE);
    /* Its compartments are there as before. */
    ck_assert_ptr_eq(roster_compartment(roster, &ken_office.own[0])->owner, office);
    /* Whoever has its key makes nobody. */
    test_device_init(&late, &org, LEVEL_ADMIN);
    (void)test_device_statement(&out, &org, &ken_office, &late);
    give();
    ck_assert_ptr_null(roster_author(roster, &late.id));
    (void)revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert_ptr_nonnull(roster_device(roster, &ken.id));
}
END_TEST

/* A certificate that shares a key and has the lower id knocks out another, but not once its office is revoked. */
START_TEST(a_revoked_office_knocks_out_no_honest_device)
{
    struct hash honest = certificate_of(&clerk);
    struct test_device thief;
    struct hash id;

    test_device_init(&thief, &org, LEVEL_READ);
    thief.transport = clerk.transport;
    do {
        buf_clear(&out);
        id = test_device_statement(&out, &org, &col_office, &thief);
    } while (hash_compare(&id, &honest) > 0);
    give();
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    /* What was genuine stays so: what the clerk wrote is not refused meanwhile. */
    ck_assert(roster_ever_certified(roster, clerk.sign.public_key));
    (void)revoke(col_office.pair.public_key, NULL, 0, BY_ROOTS);
    ck_assert_ptr_nonnull(roster_device(roster, &clerk.id));
    ck_assert_ptr_null(roster_device(roster, &thief.id));
}
END_TEST

/* --- the epoch in force --- */

static void
two_sorted(struct hash out_ids[2], const struct hash *a, const struct hash *b)
{
    bool swap = hash_compare(a, b) > 0;

    out_ids[0] = swap ? *b : *a;
    out_ids[1] = swap ? *a : *b;
}

START_TEST(an_epoch_that_boxes_a_revoked_device_is_not_written_with)
{
    struct hash boxed[2];

    two_sorted(boxed, &ken.id, &clerk.id);
    struct hash first = make_epoch(NULL, &ken.id, 1, BY_KEN);
    ck_assert(is_in_force(&first));
    struct hash second = make_epoch(&first, boxed, 2, BY_KEN);
    ck_assert(is_in_force(&second));
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    /* Who has the second opens the first by its link. */
    struct hash none = { { 0 } };
    ck_assert(is_in_force(&none));
    ck_assert(roster_epoch(roster, &second)->stands && roster_epoch(roster, &second)->tip);
    ck_assert(roster_epoch(roster, &second)->exposed && roster_epoch(roster, &first)->exposed);
    struct hash third = make_epoch(&second, &ken.id, 1, BY_KEN);
    ck_assert(is_in_force(&third));
    ck_assert(!roster_epoch(roster, &second)->tip);
}
END_TEST

START_TEST(a_box_that_came_later_gives_the_key_away_too)
{
    struct hash first = make_epoch(NULL, &ken.id, 1, BY_KEN);
    struct hash none = { { 0 } };

    /* Of somebody who is nobody, of somebody who may not box, and of one who may. */
    box(&first, &org.id, BY_KEN);
    box(&first, &clerk.id, BY_CLERK);
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert(is_in_force(&first));
    box(&first, &clerk.id, BY_HQ);
    ck_assert(is_in_force(&none));
}
END_TEST

START_TEST(an_epoch_made_by_the_revoked_is_kept_and_not_written_with)
{
    struct hash first = make_epoch(NULL, &ken.id, 1, BY_HQ);
    struct hash second = make_epoch(&first, &ken.id, 1, BY_HQ);
    struct hash none = { { 0 } };

    (void)revoke(hq.sign.public_key, &first, 1, BY_ROOTS);
    ck_assert(roster_epoch(roster, &first)->stands && !roster_epoch(roster, &second)->stands);
    ck_assert(is_in_force(&none));
    struct hash third = make_epoch(&first, &ken.id, 1, BY_KEN);
    ck_assert(is_in_force(&third));
    ck_assert_uint_eq(roster_epoch(roster, &third)->number, 2);
}
END_TEST

/* Of two offices that certified a device one takes back its own: only its compartments need a new key. */
START_TEST(a_device_that_still_reads_there_needs_no_new_epoch)
{
    struct test_device copied = clerk;
    struct hash boxed[2];

    two_sorted(boxed, &ken.id, &clerk.id);
    copied.possession = true;
    (void)test_device_statement(&out, &org, &col_office, &copied);
    give();
    struct hash epoch = make_epoch(NULL, boxed, 2, BY_KEN);
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_COL_OFFICE);
    ck_assert(is_in_force(&epoch));
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert(!is_in_force(&epoch));
}
END_TEST

/* --- erasures --- */

START_TEST(an_erasure_waits_for_the_second_office_and_names_its_keys_then)
{
    const struct ident pair[] = { ken_office.own[OWN_CASES], ken_office.own[OWN_PROTECTED] };
    struct statement_signature signature;
    struct statement statement;
    struct buf copy = { 0 };
    size_t count = 7;

    struct hash id = erase(3, pair, 2, BY_KEN | BY_CLERK);
    ck_assert_uint_eq(roster_erasure_count(roster), 1);
    const struct roster_erasure *erasure = roster_erasure_at(roster, 0);
    ck_assert(hash_equal(&erasure->stmt_id, &id));
    ck_assert_int_eq(erasure->order.bytes[0], 3);
    ck_assert(!erasure->stands);
    ck_assert_uint_eq(erasure->needed, 2);
    ck_assert_uint_eq(erasure->signed_count, 1);
    ck_assert_uint_eq(erasure->signer_count, 1);
    ck_assert(hash_equal(&erasure->signers[0], &ken.id));
    ck_assert_uint_eq(erasure->keys.count, 2);
    (void)roster_erase_keys_of(roster, &pair[0], &count);
    ck_assert_uint_eq(count, 0);
    ck_assert(roster_write(roster, &id, &out));
    ck_assert(statement_read(buf_span(&out), &statement));
    statement_signature_make(&signature, &id, &hq.sign);
    statement_write(&copy, statement.bytes, &signature, 1);
    expect_given(roster, &copy, ROSTER_NEW);
    settle();
    erasure = roster_erasure_at(roster, 0);
    ck_assert(erasure->stands && roster_stands(roster, &id));
    ck_assert_uint_eq(erasure->signed_count, 2);
    for (size_t n = 0; n < 2; n++) {
        const struct roster_erase_key *keys = roster_erase_keys_of(roster, &pair[n], &count);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(keys->erase_key.bytes[0], 3);
        ck_assert_int_eq(keys->order.bytes[0], 3);
        ck_assert(ident_equal(&keys->compartment, &pair[n]));
    }
    (void)roster_erase_keys_of(roster, &col_office.own[0], &count);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(an_erasure_needs_admin_in_everything_it_names)
{
    const struct ident both[] = { ken_office.own[OWN_CASES], col_office.own[OWN_CASES] };

    struct hash id = erase(1, both, 2, BY_KEN | BY_COL | BY_HQ);
    ck_assert(!roster_stands(roster, &id));
    ck_assert_uint_eq(roster_erasure_at(roster, 0)->signed_count, 1);
    ck_assert(hash_equal(&roster_erasure_at(roster, 0)->signers[0], &hq.id));
}
END_TEST

/* One office alone cannot: not by two devices, and not by having its device certified for less elsewhere. */
START_TEST(two_signatures_of_one_office_erase_nothing)
{
    struct test_device second;
    struct test_device elsewhere;
    const struct ident cases = ken_office.own[OWN_CASES];
    const struct key_pair *signers[] = { &ken.sign, &second.sign };

    test_enrol_device(roster, &org, &ken_office, &second, LEVEL_ADMIN);
    elsewhere = second;
    elsewhere.possession = true;
    (void)test_device_statement(&out, &org, &col_office, &elsewhere);
    give();
    struct hash id = test_erase_statement(&out, &org, 1, &cases, 1, signers, 2);
    give();
    ck_assert(!roster_stands(roster, &id));
    ck_assert_uint_eq(roster_erasure_at(roster, 0)->signed_count, 1);
    ck_assert_uint_eq(roster_erasure_at(roster, 0)->signer_count, 2);
}
END_TEST

/* There is no undo: not by revoking who signed, nor their offices, nor by roots that keep nothing, nor by a
 * certificate with the same keys. */
START_TEST(nothing_takes_an_erasure_back)
{
    const struct ident cases = ken_office.own[OWN_CASES];
    struct hash id = erase(1, &cases, 1, BY_KEN | BY_HQ);
    struct hash honest = certificate_of(&hq);
    struct statement roots = { .type = STATEMENT_ROOTS };
    struct test_device thief;
    struct key_pair fresh;
    struct buf keys = { 0 };
    struct hash clash;
    size_t count = 0;

    test_device_init(&thief, &org, LEVEL_READ);
    thief.transport = hq.transport;
    do {
        buf_clear(&out);
        clash = test_device_statement(&out, &org, &col_office, &thief);
    } while (hash_compare(&clash, &honest) > 0);
    give();
    ck_assert_ptr_null(roster_device(roster, &hq.id));
    ck_assert(roster_stands(roster, &id));
    (void)revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    (void)revoke(hq.sign.public_key, NULL, 0, BY_ROOTS);
    ck_assert(roster_stands(roster, &id));
    (void)revoke(ken_office.pair.public_key, NULL, 0, BY_ROOTS);
    (void)revoke(hq_office.pair.public_key, NULL, 0, BY_ROOTS);
    ck_assert(roster_stands(roster, &id));
    crypto_sign_pair(&fresh, &world.world);
    statement_put_key(&keys, fresh.public_key);
    roots.roots.before = org.id;
    roots.roots.roots = statement_list_of(&keys, 1);
    roots.roots.needed = 1;
    (void)sign(&roots, BY_ROOTS);
    give();
    ck_assert_uint_eq(roster_office_count(roster), 0);
    ck_assert(roster_stands(roster, &id));
    ck_assert(roster_erasure_at(roster, 0)->stands);
    (void)roster_erase_keys_of(roster, &cases, &count);
    ck_assert_uint_eq(count, 1);
    buf_free(&keys);
}
END_TEST

/* Who signs after it was revoked signs an erasure too: it may destroy, with a second office, what it might have
 * destroyed before. Nobody could tell the two apart. */
START_TEST(an_erasure_does_not_ask_when_it_was_signed)
{
    const struct ident cases = ken_office.own[OWN_CASES];

    (void)revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    struct hash id = erase(1, &cases, 1, BY_KEN | BY_HQ);
    ck_assert(roster_stands(roster, &id));
}
END_TEST

/* --- forks --- */

static struct hash
give_fork(const struct key_pair *author, enum roster_news expected)
{
    struct descriptor descriptor = { .compartment = ken_office.own[OWN_CASES], .lane = LANE_NORMAL };
    uint8_t headers[2][HEADER_BYTES];
    uint8_t signatures[2][SIGNATURE_BYTES];
    struct fork_branch branches[2];
    struct hash log_id;
    struct hash id;

    memcpy(descriptor.sign_pk, author->public_key, SIGN_PK_BYTES);
    descriptor_log_id(&descriptor, &log_id);
    for (uint8_t n = 0; n < 2; n++) {
        struct entry entry = { .lane = LANE_NORMAL, .payload_size = 16, .salt = { n } };
        entry_identify(&entry, &log_id);
        entry_header_write(headers[n], &entry);
        entry_sign(signatures[n], &entry.id, author);
        branches[n] = (struct fork_branch){ headers[n], 1, signatures[n] };
    }
    ck_assert_int_eq(statement_fork_make(&out, &org.id, &descriptor, branches, &id), ERR_OK);
    expect_given(roster, &out, expected);
    settle();
    return id;
}

START_TEST(a_fork_proof_stands_about_whoever_was_certified)
{
    struct test_device late;
    struct hash id = give_fork(&clerk.sign, ROSTER_NEW);

    ck_assert(roster_stands(roster, &id));
    ck_assert_uint_eq(roster_fork_count(roster), 1);
    const struct roster_fork *fork = roster_fork_at(roster, 0);
    ck_assert(hash_equal(&fork->stmt_id, &id));
    ck_assert(hash_equal(&fork->device_id, &clerk.id));
    ck_assert_uint_eq(fork->first, 0);
    ck_assert_uint_eq(fork->last_seq[0], 0);
    ck_assert_int_lt(hash_compare(&fork->branch[0], &fork->branch[1]), 0);
    struct hash log_id;
    descriptor_log_id(&fork->descriptor, &log_id);
    ck_assert(hash_equal(&fork->log_id, &log_id));
    /* The same proof again; one that revocation does not hide; one about nobody, until a certificate comes. */
    (void)give_fork(&clerk.sign, ROSTER_KNOWN);
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_ROOTS);
    ck_assert_uint_eq(roster_fork_count(roster), 1);
    test_device_init(&late, &org, LEVEL_READ);
    struct hash other = give_fork(&late.sign, ROSTER_NEW);
    ck_assert_uint_eq(roster_fork_count(roster), 1);
    ck_assert(!roster_stands(roster, &other));
    (void)test_device_statement(&out, &org, &ken_office, &late);
    give();
    ck_assert_uint_eq(roster_fork_count(roster), 2);
    ck_assert(roster_stands(roster, &other));
}
END_TEST

/* --- policy --- */

START_TEST(u13_a_revoked_device_may_do_nothing)
{
    (void)revoke(ken.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    const struct roster_device *author = roster_author(roster, &ken.id);
    ck_assert_ptr_nonnull(author);
    for (size_t n = 0; n < roster_compartment_count(roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(roster, n);
        for (int operation = 0; operation < OPERATION_COUNT; operation++) {
            ck_assert(!policy_may(roster, author, (enum operation)operation, &compartment->id));
        }
        ck_assert(!policy_may_speak(roster, roster_device(roster, &hq.id), author, &compartment->id));
    }
}
END_TEST

static enum admission
admitted(const struct test_device *author, const struct ident *compartment)
{
    struct descriptor descriptor = { .compartment = *compartment, .lane = LANE_NORMAL };

    memcpy(descriptor.sign_pk, author->sign.public_key, SIGN_PK_BYTES);
    return policy_admit(roster, roster_device(roster, &hq.id), &descriptor);
}

static enum standing
judged(const struct test_device *author, const struct ident *compartment, enum held_reason *reason_out)
{
    struct descriptor descriptor = { .compartment = *compartment, .lane = LANE_NORMAL };
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };

    memcpy(descriptor.sign_pk, author->sign.public_key, SIGN_PK_BYTES);
    return policy_judge(roster, roster_device(roster, &hq.id), &descriptor, &entry, reason_out);
}

/* What a device wrote by right is taken in whatever was revoked since; its certificates that count say whether it
 * may count. */
START_TEST(what_was_written_by_right_is_taken_in_whatever_was_revoked)
{
    const struct ident *cases = &ken_office.own[OWN_CASES];
    const struct hash keep[] = { certificate_of(&ken) };
    enum held_reason reason = HELD_NOT;

    ck_assert_int_eq(admitted(&clerk, cases), ADMIT);
    ck_assert_int_eq(admitted(&col, cases), LATER_NO_WRITE);
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    ck_assert_int_eq(admitted(&clerk, cases), ADMIT);
    ck_assert_int_eq(judged(&clerk, cases, &reason), STANDING_MERGED);
    ck_assert_int_eq(reason, HELD_NOT);
    /* Its office falls, and its certificate is not kept: it is taken in, and held. */
    (void)revoke(ken_office.pair.public_key, keep, 1, BY_ROOTS);
    ck_assert_int_eq(admitted(&clerk, cases), ADMIT);
    ck_assert_int_eq(judged(&clerk, cases, &reason), STANDING_HELD);
    ck_assert_int_eq(reason, HELD_NO_RIGHT);
    ck_assert_int_eq(judged(&ken, cases, &reason), STANDING_MERGED);
    ck_assert_int_eq(admitted(&col, cases), LATER_NO_WRITE);
}
END_TEST

START_TEST(a_revoked_node_keeps_what_it_has_and_is_given_no_more)
{
    const struct ident *cases = &ken_office.own[OWN_CASES];
    struct descriptor descriptor = { .compartment = *cases, .lane = LANE_NORMAL };
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };

    memcpy(descriptor.sign_pk, ken.sign.public_key, SIGN_PK_BYTES);
    (void)revoke(clerk.sign.public_key, NULL, 0, BY_ROOTS);
    const struct roster_device *own = roster_author(roster, &clerk.id);
    ck_assert(policy_opens(roster, own, cases));
    ck_assert_int_eq(policy_judge(roster, own, &descriptor, &entry, NULL), STANDING_MERGED);
    ck_assert_int_eq(policy_admit(roster, own, &descriptor), LATER_NOT_OURS);
    ck_assert(!policy_opens(roster, own, &col_office.own[OWN_CASES]));
    ck_assert(!policy_opens(roster, NULL, cases));
}
END_TEST

/* --- an office under several keys --- */

/* Another key of KEN's, with the same three compartments. */
static struct test_office
ken_under_another_key(void)
{
    struct test_office next = ken_office;

    crypto_sign_pair(&next.pair, &world.world);
    (void)test_office_statement(&out, &org, &next, 2);
    give();
    return next;
}

/* Two people of one office must not erase, because its key was replaced between their certificates. */
START_TEST(two_keys_of_one_office_erase_nothing)
{
    struct test_device second;
    struct test_office next = ken_under_another_key();
    const struct ident cases = ken_office.own[OWN_CASES];
    const struct key_pair *signers[] = { &ken.sign, &second.sign };

    test_enrol_device(roster, &org, &next, &second, LEVEL_ADMIN);
    struct hash id = test_erase_statement(&out, &org, 1, &cases, 1, signers, 2);
    give();
    ck_assert(!roster_stands(roster, &id));
    ck_assert_uint_eq(roster_erasure_at(roster, 0)->signed_count, 1);
    /* With one of headquarters they do. */
    id = erase(2, &cases, 1, BY_KEN | BY_HQ);
    ck_assert(roster_stands(roster, &id));
}
END_TEST

START_TEST(an_office_takes_back_what_its_earlier_key_gave)
{
    struct hash keep[] = { certificate_of(&ken), certificate_of(&clerk) };
    struct test_office next = ken_under_another_key();
    const struct key_pair *by_next[] = { &next.pair };

    if (hash_compare(&keep[0], &keep[1]) > 0) {
        keep[0] = keep[1];
        keep[1] = certificate_of(&ken);
    }
    (void)revoke(ken_office.pair.public_key, keep, 2, BY_ROOTS);
    ck_assert_ptr_nonnull(roster_device(roster, &clerk.id));
    struct hash id = test_revoke_statement(&out, &org, clerk.sign.public_key, NULL, 0, by_next, 1);
    give();
    ck_assert(roster_stands(roster, &id));
    ck_assert_ptr_null(roster_device(roster, &clerk.id));
    ck_assert_ptr_nonnull(roster_device(roster, &ken.id));
    /* And extends what the earlier key revoked, but nobody else does. */
    struct hash stmt = certificate_of(&ken);
    struct hash foreign = extend(&id, &stmt, 1, BY_COL_OFFICE);
    ck_assert(!roster_stands(roster, &foreign));
    (void)test_extend_statement(&out, &org, &id, &stmt, 1, by_next, 1);
    give();
    size_t count = 0;
    ck_assert_uint_eq(roster_revocations_of(roster, clerk.sign.public_key, &count)->keep_count, 1);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(the_next_key_extends_what_the_earlier_one_revoked)
{
    struct hash keep[3] = { certificate_of(&ken), certificate_of(&clerk) };
    struct hash mine = certificate_of(&clerk);
    struct hash id = revoke(clerk.sign.public_key, NULL, 0, BY_KEN_OFFICE);
    struct test_office next = ken_under_another_key();
    const struct key_pair *by_next[] = { &next.pair };
    size_t count = 0;

    keep[2] = id;
    for (size_t n = 1; n < 3; n++) {
        for (size_t at = n; at > 0 && hash_compare(&keep[at - 1], &keep[at]) > 0; at--) {
            struct hash other = keep[at];
            keep[at] = keep[at - 1];
            keep[at - 1] = other;
        }
    }
    (void)revoke(ken_office.pair.public_key, keep, 3, BY_ROOTS);
    ck_assert(roster_stands(roster, &id));
    (void)test_extend_statement(&out, &org, &id, &mine, 1, by_next, 1);
    give();
    ck_assert_uint_eq(roster_revocations_of(roster, clerk.sign.public_key, &count)->keep_count, 1);
    ck_assert_uint_eq(count, 1);
}
END_TEST

/* People keep their names, compartments their office, and a code names the key that is in force: whichever of the
 * keys, or of the certificates, happens to be the lower. */
START_TEST(an_office_is_one_whichever_key_is_asked)
{
    struct statement actor = { .type = STATEMENT_ACTOR };
    const struct key_pair *by_ken[] = { &ken.sign };

    memcpy(actor.actor.office_pk, ken_office.pair.public_key, 32);
    actor.actor.number = 7;
    actor.actor.name = span_text("Amina");
    actor.actor.active = true;
    struct hash named = test_sign(&out, &org, &actor, by_ken, 1);
    give();
    for (uint32_t round = 0; round < 8; round++) {
        struct test_office before = ken_office;
        struct hash keep[8];
        size_t kept = 0;
        ken_office = ken_under_another_key();
        for (size_t n = 0; n < roster_device_count(roster); n++) {
            const struct roster_device *device = roster_device_at(roster, n);
            if (memcmp(device->office->office_pk, before.pair.public_key, 32) == 0) {
                keep[kept++] = device->certificate;
            }
        }
        for (size_t n = 1; n < kept; n++) {
            for (size_t at = n; at > 0 && hash_compare(&keep[at - 1], &keep[at]) > 0; at--) {
                struct hash other = keep[at];
                keep[at] = keep[at - 1];
                keep[at - 1] = other;
            }
        }
        (void)revoke(before.pair.public_key, keep, kept, BY_ROOTS);
        ken.until++;
        (void)test_device_statement(&out, &org, &ken_office, &ken);
        give();
        clerk.until++;
        (void)test_device_statement(&out, &org, &ken_office, &clerk);
        give();
        const struct roster_office *office = roster_office(roster, ken_office.pair.public_key);
        const struct roster_office *old = roster_office(roster, before.pair.public_key);
        ck_assert_ptr_eq(office->house, old->house);
        ck_assert_ptr_ne(office->house, roster_office(roster, col_office.pair.public_key)->house);
        ck_assert(old->revoked);
        ck_assert_ptr_eq(roster_office_by_code(roster, "KEN"), office);
        ck_assert_ptr_eq(roster_compartment(roster, &ken_office.own[0])->owner->house, office->house);
        ck_assert_ptr_eq(roster_compartment_by_name(roster, "KEN:cases"),
                         roster_compartment(roster, &ken_office.own[0]));
        ck_assert_ptr_nonnull(roster_compartment(roster, &ken_office.own[0])->twin);
        ck_assert(roster_stands(roster, &named));
        ck_assert_str_eq(roster_actor(roster, office, 7)->name, "Amina");
        ck_assert_ptr_eq(roster_actor(roster, old, 7), roster_actor(roster, office, 7));
        ck_assert_ptr_eq(roster_device(roster, &ken.id)->office, office);
        /* A name given under the key in force counts, whichever is lower. */
        memcpy(actor.actor.office_pk, ken_office.pair.public_key, 32);
        actor.actor.number = 100 + round;
        (void)test_sign(&out, &org, &actor, by_ken, 1);
        give();
        office = roster_office(roster, ken_office.pair.public_key);
        ck_assert_ptr_nonnull(roster_actor(roster, office, 100 + round));
    }
}
END_TEST

SUITE_MAIN_WITH("roster over time", found, dissolve,
                u11_a_statement_counts_only_with_the_signatures_its_type_asks_for,
                u11_a_signer_counts_once_however_often_it_is_brought,
                a_revoked_device_is_an_author_and_no_device, every_revocation_must_keep_what_is_to_count,
                an_extension_counts_from_whoever_revoked_and_from_the_roots,
                lists_of_a_revocation_and_its_extensions_are_one, nobody_revokes_what_an_equal_gave,
                a_second_office_does_not_bring_a_revoked_device_back_where_the_first_revoked_it,
                of_a_revoked_office_only_what_is_kept_counts, a_revoked_office_knocks_out_no_honest_device,
                an_epoch_that_boxes_a_revoked_device_is_not_written_with,
                a_box_that_came_later_gives_the_key_away_too,
                an_epoch_made_by_the_revoked_is_kept_and_not_written_with,
                a_device_that_still_reads_there_needs_no_new_epoch,
                an_erasure_waits_for_the_second_office_and_names_its_keys_then,
                an_erasure_needs_admin_in_everything_it_names, two_signatures_of_one_office_erase_nothing,
                nothing_takes_an_erasure_back, an_erasure_does_not_ask_when_it_was_signed,
                two_keys_of_one_office_erase_nothing, an_office_takes_back_what_its_earlier_key_gave,
                the_next_key_extends_what_the_earlier_one_revoked, an_office_is_one_whichever_key_is_asked,
                a_fork_proof_stands_about_whoever_was_certified, u13_a_revoked_device_may_do_nothing,
                what_was_written_by_right_is_taken_in_whatever_was_revoked,
                a_revoked_node_keeps_what_it_has_and_is_given_no_more)
