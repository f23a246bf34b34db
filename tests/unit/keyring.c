#include "sync/keyring.h"
#include "sync/policy.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <string.h>

static struct test_world world;
static struct test_org org;
static struct test_office ken;
static struct test_device admin;
static struct test_device reader;
static struct roster *roster;
static struct keyring *ours;
static struct buf out;

static void
found(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 3);
    test_org_init(&org, &world, 1, 1, 1);
    roster = test_roster(&org);
    test_enrol_office(roster, &org, &ken, "KEN");
    test_enrol_device(roster, &org, &ken, &admin, LEVEL_ADMIN);
    test_enrol_device(roster, &org, &ken, &reader, LEVEL_READ);
    ours = keyring_new(&admin.id, &admin.box);
    ck_assert_ptr_nonnull(ours);
    out = (struct buf){ 0 };
}

static void
dissolve(void)
{
    buf_free(&out);
    keyring_free(&ours);
    roster_free(&roster);
    test_org_free(&org);
}

/* Make an epoch of KEN's cases and take it in. */
static struct hash
rotate(struct keyring *keyring, const struct test_device *device)
{
    struct hash epoch_id;
    struct key key;

    ck_assert_int_eq(
        keyring_make_epoch(keyring, roster, &ken.own[0], &device->sign, &world.world, &out, &epoch_id, &key),
        ERR_OK);
    expect_given(roster, &out, ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    return epoch_id;
}

static void
count_key(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct hash commit;
    const struct roster_epoch *epoch = roster_epoch(roster, epoch_id);

    ck_assert_ptr_nonnull(epoch);
    epoch_commit(&commit, compartment, epoch->number, key);
    ck_assert(hash_equal(&commit, &epoch->commit));
    ++*(size_t *)self;
}

START_TEST(an_epoch_opens_for_those_whom_it_boxes)
{
    const struct epoch_keys *keys = NULL;
    uint8_t epoch[4];
    size_t opened = 0;

    ck_assert_int_eq(keyring_current(ours, roster, &ken.own[0], &keys, epoch), ERR_ABSENT);
    struct hash id = rotate(ours, &admin);
    ck_assert(roster_stands(roster, &id));
    ck_assert_int_eq(keyring_current(ours, roster, &ken.own[0], &keys, epoch), ERR_OK);
    ck_assert_mem_eq(epoch, id.bytes, 4);
    ck_assert_ptr_eq(keyring_find(ours, &ken.own[0], epoch), keys);
    ck_assert_ptr_null(keyring_find(ours, &ken.own[1], epoch));
    struct keyring *theirs = keyring_new(&reader.id, &reader.box);
    ck_assert_int_eq(keyring_current(theirs, roster, &ken.own[0], &keys, epoch), ERR_LOCKED);
    ck_assert_uint_eq(keyring_learn(theirs, roster, count_key, &opened), 1);
    ck_assert_uint_eq(opened, 1);
    ck_assert_uint_eq(keyring_learn(theirs, roster, count_key, &opened), 0);
    ck_assert_int_eq(keyring_current(theirs, roster, &ken.own[0], &keys, epoch), ERR_OK);
    ck_assert_mem_eq(keys->epoch.bytes, keyring_get(ours, &ken.own[0], &id)->epoch.bytes, KEY_BYTES);
    keyring_free(&theirs);
}
END_TEST

START_TEST(one_box_of_the_newest_epoch_opens_all_before_it)
{
    struct test_device late;
    struct keyring_missing missing[4];

    for (size_t n = 0; n < 3; n++) {
        (void)rotate(ours, &admin);
    }
    test_enrol_device(roster, &org, &ken, &late, LEVEL_WRITE);
    ck_assert_uint_eq(keyring_missing(ours, roster, &ken.own[0], NULL, NULL, missing, 4), 1);
    ck_assert(hash_equal(&missing[0].device_id, &late.id));
    struct keyring *theirs = keyring_new(&late.id, &late.box);
    ck_assert_uint_eq(keyring_learn(theirs, roster, NULL, NULL), 0);
    ck_assert_int_eq(keyring_make_box(ours, roster, &missing[0], &admin.sign, &world.world, &out), ERR_OK);
    expect_given(roster, &out, ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    ck_assert_uint_eq(keyring_missing(ours, roster, &ken.own[0], NULL, NULL, missing, 4), 0);
    ck_assert_uint_eq(keyring_learn(theirs, roster, NULL, NULL), 3);
    for (size_t n = 0; n < roster_epoch_count(roster); n++) {
        const struct roster_epoch *epoch = roster_epoch_at(roster, n);
        ck_assert_uint_eq(epoch->number, n + 1);
        ck_assert_mem_eq(keyring_get(theirs, &ken.own[0], &epoch->epoch_id)->epoch.bytes,
                         keyring_get(ours, &ken.own[0], &epoch->epoch_id)->epoch.bytes, KEY_BYTES);
    }
    keyring_free(&theirs);
}
END_TEST

/* By the definition of the formats page, which a vector has too. */
START_TEST(a_link_is_the_key_of_the_parent_sealed_under_the_new_one)
{
    struct hash before = rotate(ours, &admin);
    struct hash after = rotate(ours, &admin);
    const struct roster_epoch *epoch = roster_epoch(roster, &after);
    struct statement_parent named = statement_parent_at(&epoch->parents, 0);
    struct buf associated = { 0 };
    struct hash hash;
    struct nonce nonce;
    struct key key;

    ck_assert_uint_eq(epoch->parents.count, 1);
    ck_assert(hash_equal(&named.epoch_id, &before));
    buf_put_span(&associated, ident_span(&ken.own[0]));
    buf_put_span(&associated, hash_span(&before));
    buf_put_span(&associated, hash_span(&epoch->commit));
    CRYPTO_HASH(&hash, "vigil.lnk.v1", buf_span(&associated));
    memcpy(nonce.bytes, hash.bytes, sizeof nonce.bytes);
    ck_assert(crypto_open(key.bytes, &keyring_get(ours, &ken.own[0], &after)->epoch, &nonce,
                          buf_span(&associated), span_of(named.link, KEY_BYTES + SEAL_BYTES)));
    ck_assert_mem_eq(key.bytes, keyring_get(ours, &ken.own[0], &before)->epoch.bytes, KEY_BYTES);
    buf_free(&associated);
}
END_TEST

/* Two admins who were apart each made one: the next epoch is a child of both. */
START_TEST(epochs_that_were_made_apart_meet_in_the_next)
{
    struct test_device second;
    const struct epoch_keys *keys = NULL;
    uint8_t epoch[4];
    struct hash ids[2];
    struct key key;
    struct buf outs[2] = { { 0 }, { 0 } };

    test_enrol_device(roster, &org, &ken, &second, LEVEL_ADMIN);
    struct keyring *theirs = keyring_new(&second.id, &second.box);
    ck_assert_int_eq(
        keyring_make_epoch(ours, roster, &ken.own[0], &admin.sign, &world.world, &outs[0], &ids[0], &key),
        ERR_OK);
    ck_assert_int_eq(
        keyring_make_epoch(theirs, roster, &ken.own[0], &second.sign, &world.world, &outs[1], &ids[1], &key),
        ERR_OK);
    expect_given(roster, &outs[0], ROSTER_NEW);
    expect_given(roster, &outs[1], ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    ck_assert_uint_eq(keyring_learn(ours, roster, NULL, NULL), 1);
    ck_assert_uint_eq(keyring_learn(theirs, roster, NULL, NULL), 1);
    ck_assert_int_eq(keyring_current(ours, roster, &ken.own[0], &keys, epoch), ERR_OK);
    ck_assert_mem_eq(epoch, ids[hash_compare(&ids[0], &ids[1]) > 0 ? 0 : 1].bytes, 4);
    struct hash next = rotate(theirs, &second);
    ck_assert_uint_eq(roster_epoch(roster, &next)->parents.count, 2);
    ck_assert_uint_eq(roster_epoch(roster, &next)->number, 2);
    ck_assert(roster_epoch(roster, &next)->tip);
    ck_assert(!roster_epoch(roster, &ids[0])->tip && !roster_epoch(roster, &ids[1])->tip);
    keyring_free(&theirs);
}
END_TEST

START_TEST(only_an_admin_makes_epochs)
{
    struct keyring *theirs = keyring_new(&reader.id, &reader.box);
    struct hash id;
    struct key key;

    ck_assert_int_eq(
        keyring_make_epoch(theirs, roster, &ken.own[0], &reader.sign, &world.world, &out, &id, &key),
        ERR_DENIED);
    ck_assert_int_eq(
        keyring_make_epoch(ours, roster, &org.control, &admin.sign, &world.world, &out, &id, &key),
        ERR_DENIED);
    ck_assert_uint_eq(out.size, 0);
    keyring_free(&theirs);
    /* One that is signed by somebody else all the same does not stand. */
    struct statement statement = { .type = STATEMENT_EPOCH };
    const struct key_pair *signers[] = { &reader.sign };
    statement.epoch.compartment = ken.own[0];
    statement.epoch.number = 1;
    struct hash forged = test_sign(&out, &org, &statement, signers, 1);
    expect_given(roster, &out, ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    ck_assert(!roster_stands(roster, &forged));
    ck_assert_ptr_null(roster_compartment(roster, &ken.own[0])->current);
}
END_TEST

START_TEST(an_epoch_whose_number_does_not_follow_is_not_written_with)
{
    const struct key_pair *signers[] = { &admin.sign };
    struct hash first = rotate(ours, &admin);
    static const uint64_t numbers[] = { 3, UINT64_MAX, 2 };

    for (size_t n = 0; n < 3; n++) {
        struct statement statement = { .type = STATEMENT_EPOCH };
        uint8_t link[EPOCH_LINK_BYTES] = { 0 };
        struct buf parents = { 0 };
        statement_put_parent(&parents, &first, link);
        statement.epoch.compartment = ken.own[0];
        statement.epoch.number = numbers[n];
        statement.epoch.parents = statement_list_of(&parents, 1);
        struct hash id = test_sign(&out, &org, &statement, signers, 1);
        expect_given(roster, &out, ROSTER_NEW);
        ck_assert_int_eq(roster_settle(roster), ERR_OK);
        const struct hash *current = &roster_compartment(roster, &ken.own[0])->current->epoch_id;
        ck_assert(hash_equal(current, n < 2 ? &first : &id));
        buf_free(&parents);
    }
}
END_TEST

START_TEST(a_box_with_another_key_is_not_believed)
{
    struct test_device late;
    struct statement statement = { .type = STATEMENT_BOX };
    const struct key_pair *signers[] = { &admin.sign };
    uint8_t sealed[EPOCH_BOX_BYTES];
    struct key wrong = { { 1 } };

    struct hash epoch = rotate(ours, &admin);
    test_enrol_device(roster, &org, &ken, &late, LEVEL_READ);
    ck_assert(crypto_box_seal_to(sealed, late.box.public_key, span_of(wrong.bytes, KEY_BYTES), &world.world));
    statement.box.epoch_id = epoch;
    statement.box.device_id = late.id;
    statement.box.sealed = sealed;
    (void)test_sign(&out, &org, &statement, signers, 1);
    expect_given(roster, &out, ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    struct keyring *theirs = keyring_new(&late.id, &late.box);
    ck_assert_uint_eq(keyring_learn(theirs, roster, NULL, NULL), 0);
    ck_assert_uint_eq(keyring_count(theirs), 0);
    keyring_free(&theirs);
}
END_TEST

/* An admin boxes a good key, and links the parent's place to another than the parent's. */
START_TEST(a_link_with_another_key_is_not_believed)
{
    struct test_device late;
    struct statement statement = { .type = STATEMENT_EPOCH };
    const struct key_pair *signers[] = { &admin.sign };
    uint8_t sealed[EPOCH_BOX_BYTES];
    uint8_t link[EPOCH_LINK_BYTES];
    struct key key = { { 2 } };
    struct key wrong = { { 1 } };
    struct buf associated = { 0 };
    struct buf parents = { 0 };
    struct buf boxes = { 0 };
    struct hash hash;
    struct nonce nonce;

    struct hash first = rotate(ours, &admin);
    test_enrol_device(roster, &org, &ken, &late, LEVEL_READ);
    statement.epoch.compartment = ken.own[0];
    statement.epoch.number = 2;
    epoch_commit(&statement.epoch.commit, &ken.own[0], 2, &key);
    buf_put_span(&associated, ident_span(&ken.own[0]));
    buf_put_span(&associated, hash_span(&first));
    buf_put_span(&associated, hash_span(&statement.epoch.commit));
    CRYPTO_HASH(&hash, "vigil.lnk.v1", buf_span(&associated));
    memcpy(nonce.bytes, hash.bytes, sizeof nonce.bytes);
    crypto_seal(link, &key, &nonce, buf_span(&associated), span_of(wrong.bytes, KEY_BYTES));
    statement_put_parent(&parents, &first, link);
    ck_assert(crypto_box_seal_to(sealed, late.box.public_key, span_of(key.bytes, KEY_BYTES), &world.world));
    statement_put_box(&boxes, &late.id, sealed);
    statement.epoch.parents = statement_list_of(&parents, 1);
    statement.epoch.boxes = statement_list_of(&boxes, 1);
    struct hash second = test_sign(&out, &org, &statement, signers, 1);
    expect_given(roster, &out, ROSTER_NEW);
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    struct keyring *theirs = keyring_new(&late.id, &late.box);
    ck_assert_uint_eq(keyring_learn(theirs, roster, NULL, NULL), 1);
    ck_assert_ptr_nonnull(keyring_get(theirs, &ken.own[0], &second));
    ck_assert_ptr_null(keyring_get(theirs, &ken.own[0], &first));
    keyring_free(&theirs);
    buf_free(&associated);
    buf_free(&parents);
    buf_free(&boxes);
}
END_TEST

START_TEST(the_control_key_is_epoch_zero)
{
    const struct epoch_keys *keys = NULL;
    struct hash zero = { { 0 } };
    uint8_t epoch[4] = { 9 };

    ck_assert_int_eq(keyring_current(ours, roster, &org.control, &keys, epoch), ERR_LOCKED);
    ck_assert_int_eq(keyring_add_key(ours, &org.control, &zero, &org.control_key), ERR_OK);
    ck_assert_int_eq(keyring_add_key(ours, &org.control, &zero, &org.control_key), ERR_OK);
    ck_assert_uint_eq(keyring_count(ours), 1);
    ck_assert_int_eq(keyring_current(ours, roster, &org.control, &keys, epoch), ERR_OK);
    ck_assert_mem_eq(epoch, zero.bytes, 4);
    ck_assert_mem_eq(keys->epoch.bytes, org.control_key.bytes, KEY_BYTES);
}
END_TEST

START_TEST(many_keys_are_found_and_ids_that_begin_alike_are_told_apart)
{
    enum { MANY = 500 };

    for (uint32_t n = 0; n < MANY; n++) {
        struct hash id = { { 0 } };
        struct key key = { { 0 } };
        bytes_write_u32(id.bytes, n / 2);
        bytes_write_u32(id.bytes + 8, n);
        bytes_write_u32(key.bytes, n);
        ck_assert_int_eq(keyring_add_key(ours, &ken.own[1], &id, &key), ERR_OK);
    }
    ck_assert_uint_eq(keyring_count(ours), MANY);
    for (uint32_t n = 0; n < MANY; n++) {
        struct hash id = { { 0 } };
        bytes_write_u32(id.bytes, n / 2);
        bytes_write_u32(id.bytes + 8, n);
        const struct epoch_keys *keys = keyring_get(ours, &ken.own[1], &id);
        ck_assert_ptr_nonnull(keys);
        ck_assert_uint_eq(bytes_read_u32(keys->epoch.bytes), n);
        const struct epoch_keys *first = keyring_find(ours, &ken.own[1], id.bytes);
        const struct epoch_keys *second = keyring_another(ours, first);
        ck_assert_ptr_nonnull(second);
        ck_assert(keys == first || keys == second);
        ck_assert_ptr_null(keyring_another(ours, second));
    }
}
END_TEST

SUITE_MAIN_WITH("keyring", found, dissolve, an_epoch_opens_for_those_whom_it_boxes,
                a_link_is_the_key_of_the_parent_sealed_under_the_new_one,
                one_box_of_the_newest_epoch_opens_all_before_it, epochs_that_were_made_apart_meet_in_the_next,
                only_an_admin_makes_epochs, an_epoch_whose_number_does_not_follow_is_not_written_with,
                a_box_with_another_key_is_not_believed, a_link_with_another_key_is_not_believed,
                the_control_key_is_epoch_zero, many_keys_are_found_and_ids_that_begin_alike_are_told_apart)
