#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/base/log.h"
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static struct test_world world;
static struct table_env *env;
static struct table_txn *txn;
static const struct key wrap = { "the wrapping key, thirty-two byt" };
static const struct ident here = { "compartment no 1" };
static const struct ident there = { "compartment no 2" };

static void
hear_nothing(void *self, const char *line)
{
    (void)self;
    (void)line;
}

static void
setup(void)
{
    log_to(hear_nothing, NULL);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 2);
    strcpy(directory, "/tmp/vigil-keys-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    struct table_options options = {
        .path = directory,
        .set = TABLE_SET_KEYS,
        .key = &wrap,
        .world = &world.world,
        .map_bytes = 1 << 20,
    };
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
}

static void
teardown(void)
{
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    char name[96];

    table_abort(&txn);
    table_env_close(&env);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        snprintf(name, sizeof name, "%s/%s", directory, names[n]);
        unlink(name);
    }
    rmdir(directory);
}

static struct record_key
record_key_of(uint8_t prefix, uint8_t rest)
{
    struct record_key key = { .log_no = 7, .seq = 1000 + rest };

    memset(key.record_id.bytes, prefix, 8);
    memset(key.record_id.bytes + 8, rest, 8);
    memset(key.key.bytes, prefix ^ rest, KEY_BYTES);
    return key;
}

static bool
record_key_equal(const struct record_key *a, const struct record_key *b)
{
    return ident_equal(&a->record_id, &b->record_id) && crypto_equal(a->key.bytes, b->key.bytes, KEY_BYTES) &&
           a->log_no == b->log_no && a->seq == b->seq;
}

START_TEST(a_record_key_is_found_by_its_record_and_by_the_first_eight_bytes)
{
    struct record_key one = record_key_of(1, 1);
    struct record_key twin = record_key_of(1, 2);
    struct record_key other = record_key_of(2, 1);
    struct record_key got;
    struct record_key found[4];

    keys_put_record(txn, &here, &one);
    keys_put_record(txn, &here, &twin);
    keys_put_record(txn, &here, &other);
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_int_eq(keys_get_record(txn, &here, &twin.record_id, &got), ERR_OK);
    ck_assert(record_key_equal(&got, &twin));
    ck_assert_uint_eq(keys_find_record(txn, &here, other.record_id.bytes, found, 4), 1);
    ck_assert(record_key_equal(&found[0], &other));
    ck_assert_uint_eq(keys_find_record(txn, &here, one.record_id.bytes, found, 4), 2);
    bool in_order = record_key_equal(&found[0], &one) && record_key_equal(&found[1], &twin);
    bool reversed = record_key_equal(&found[0], &twin) && record_key_equal(&found[1], &one);
    ck_assert(in_order || reversed);
    ck_assert_uint_eq(keys_find_record(txn, &here, one.record_id.bytes, found, 1), 1);
}
END_TEST

START_TEST(a_record_key_belongs_to_one_compartment)
{
    struct record_key one = record_key_of(1, 1);
    struct record_key got;

    keys_put_record(txn, &here, &one);
    ck_assert_int_eq(keys_get_record(txn, &there, &one.record_id, &got), ERR_ABSENT);
    ck_assert_uint_eq(keys_find_record(txn, &there, one.record_id.bytes, &got, 1), 0);
}
END_TEST

START_TEST(the_entry_that_first_brought_a_key_is_remembered)
{
    struct record_key one = record_key_of(1, 1);
    struct record_key again = one;
    struct record_key got;

    again.log_no = 9;
    keys_put_record(txn, &here, &one);
    keys_put_record(txn, &here, &again);
    ck_assert_uint_eq(table_count(txn, TABLE_KEYS_RECORD), 1);
    ck_assert_int_eq(keys_get_record(txn, &here, &one.record_id, &got), ERR_OK);
    ck_assert(record_key_equal(&got, &one));
}
END_TEST

START_TEST(a_key_payload_comes_back_as_it_was)
{
    struct span got;

    keys_put_payload(txn, 3, 4, span_text("as on the wire"));
    ck_assert_int_eq(keys_get_payload(txn, 3, 4, &got), ERR_OK);
    ck_assert(span_equal(got, span_text("as on the wire")));
    ck_assert_int_eq(keys_get_payload(txn, 3, 5, &got), ERR_ABSENT);
    ck_assert_int_eq(keys_get_payload(txn, 4, 4, &got), ERR_ABSENT);
}
END_TEST

struct epochs {
    size_t count;
    unsigned seen; /* a bit for each epoch that came as it was put */
};

static struct hash
epoch_id_of(uint8_t n)
{
    struct hash id;

    memset(id.bytes, n, HASH_BYTES);
    return id;
}

static void
note_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct epochs *epochs = self;
    uint8_t n = epoch_id->bytes[0];
    struct hash expected = epoch_id_of(n);
    const struct ident *where = n % 2 == 0 ? &here : &there;

    epochs->count++;
    ck_assert(hash_equal(&expected, epoch_id));
    ck_assert(ident_equal(where, compartment));
    ck_assert_uint_eq(key->bytes[0], 100 + n);
    ck_assert_uint_eq(key->bytes[KEY_BYTES - 1], 100 + n);
    epochs->seen |= 1U << n;
}

START_TEST(every_epoch_key_is_walked_once)
{
    struct epochs epochs = { 0 };

    for (int round = 0; round < 2; round++) {
        for (uint8_t n = 0; n < 6; n++) {
            struct hash id = epoch_id_of(n);
            struct key key;
            memset(key.bytes, 100 + n, KEY_BYTES);
            keys_put_epoch(txn, n % 2 == 0 ? &here : &there, &id, &key);
        }
    }
    keys_each_epoch(txn, note_epoch, &epochs);
    ck_assert_uint_eq(epochs.count, 6);
    ck_assert_uint_eq(epochs.seen, 0x3f);
}
END_TEST

/* True if one of the files of the environment holds `wanted`. */
static bool
files_hold(struct span wanted)
{
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    bool held = false;

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        char name[96];
        snprintf(name, sizeof name, "%s/%s", directory, names[n]);
        FILE *file = fopen(name, "rb");
        ck_assert_ptr_nonnull(file);
        static uint8_t content[1 << 20];
        size_t size = fread(content, 1, sizeof content, file);
        fclose(file);
        held = held || memmem(content, size, wanted.data, wanted.size) != NULL;
    }
    return held;
}

START_TEST(c1_no_key_and_no_id_lies_open_in_the_files)
{
    struct record_key record = { .log_no = 1, .seq = 2 };
    struct hash epoch_id = epoch_id_of(0x5a);
    struct key epoch;

    world_random(&world.world, record.record_id.bytes, IDENT_BYTES);
    world_random(&world.world, record.key.bytes, KEY_BYTES);
    world_random(&world.world, epoch.bytes, KEY_BYTES);
    keys_put_record(txn, &here, &record);
    keys_put_epoch(txn, &here, &epoch_id, &epoch);
    keys_put_payload(txn, 1, 2, span_text("sealed already"));
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    table_env_close(&env);
    ck_assert(files_hold(span_text("sealed already")));
    ck_assert(!files_hold(span_of(record.key.bytes, 8)));
    ck_assert(!files_hold(span_of(record.record_id.bytes, 8)));
    ck_assert(!files_hold(span_of(epoch.bytes, 8)));
    ck_assert(!files_hold(span_of(epoch_id.bytes, 8)));
    ck_assert(!files_hold(ident_span(&here)));
    ck_assert(!files_hold(span_of(wrap.bytes, 8)));
}
END_TEST

START_TEST(a_deleted_key_is_gone_and_its_neighbours_are_not)
{
    const struct record_key keys[] = { record_key_of(1, 1), record_key_of(1, 2), record_key_of(2, 1) };
    struct record_key found[4];
    struct span payload;

    for (size_t n = 0; n < 3; n++) {
        keys_put_record(txn, &here, &keys[n]);
        keys_put_payload(txn, 7, n, span_text("a sealed key"));
    }
    keys_put_record(txn, &there, &keys[0]);
    keys_delete_record(txn, &here, &keys[0].record_id);
    keys_delete_record(txn, &there, &keys[1].record_id); /* never was there */
    keys_delete_payload(txn, 7, 0);
    keys_delete_payload(txn, 8, 0);
    ck_assert_int_eq(keys_get_record(txn, &here, &keys[0].record_id, &found[0]), ERR_ABSENT);
    ck_assert_uint_eq(keys_find_record(txn, &here, keys[0].record_id.bytes, found, 4), 1);
    ck_assert(record_key_equal(&found[0], &keys[1]));
    ck_assert_int_eq(keys_get_record(txn, &there, &keys[0].record_id, &found[0]), ERR_OK);
    ck_assert_int_eq(keys_get_record(txn, &here, &keys[2].record_id, &found[0]), ERR_OK);
    ck_assert_int_eq(keys_get_payload(txn, 7, 0, &payload), ERR_ABSENT);
    ck_assert_int_eq(keys_get_payload(txn, 7, 1, &payload), ERR_OK);
    ck_assert_uint_eq(table_count(txn, TABLE_KEYS_RECORD), 3);
    ck_assert_int_eq(table_error(txn), ERR_OK);
}
END_TEST

static size_t walked;

static void
walk_record(void *self, const struct ident *compartment, const struct record_key *key)
{
    const struct record_key *expected = self;

    ck_assert(ident_equal(compartment, &here) || ident_equal(compartment, &there));
    for (size_t n = 0; n < 3; n++) {
        walked += record_key_equal(key, &expected[n]);
    }
}

static void
walk_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    const struct hash *expected = self;

    ck_assert(ident_equal(compartment, &there));
    ck_assert(hash_equal(epoch_id, expected));
    ck_assert_uint_eq(key->bytes[0], 'e');
    walked++;
}

/* Under another wrapping key everything is found again, under other row keys. */
START_TEST(a_copy_under_another_wrapping_key_holds_the_same)
{
    static const struct key other = { "a fresh wrapping key, thirty-two" };
    static const struct key epoch = { "epoch key" };
    struct record_key keys[] = { record_key_of(1, 1), record_key_of(1, 2), record_key_of(2, 1) };
    struct hash epoch_id = { { 9 } };
    struct record_key found;
    struct table_env *copy = NULL;
    struct table_txn *to = NULL;
    struct span payload;
    char path[96];
    char command[128];

    (void)snprintf(path, sizeof path, "%s/copy", directory);
    struct table_options options = {
        .path = path, .set = TABLE_SET_KEYS, .key = &other, .world = &world.world, .map_bytes = 1 << 20
    };
    ck_assert_int_eq(table_env_open(&copy, &options), ERR_OK);
    ck_assert_int_eq(table_begin_write(copy, &to), ERR_OK);
    keys_put_record(txn, &here, &keys[0]);
    keys_put_record(txn, &here, &keys[1]);
    keys_put_record(txn, &there, &keys[2]);
    keys_put_payload(txn, 7, 1, span_text("a sealed key"));
    keys_put_epoch(txn, &there, &epoch_id, &epoch);
    ck_assert_uint_eq(keys_copy(txn, to), 0);
    ck_assert_int_eq(table_commit(&to), ERR_OK);
    ck_assert_int_eq(table_begin_read(copy, &to), ERR_OK);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(keys_get_record(to, n < 2 ? &here : &there, &keys[n].record_id, &found), ERR_OK);
        ck_assert(record_key_equal(&found, &keys[n]));
    }
    ck_assert_int_eq(keys_get_payload(to, 7, 1, &payload), ERR_OK);
    ck_assert(span_equal(payload, span_text("a sealed key")));
    walked = 0;
    keys_each_record(to, walk_record, keys);
    ck_assert_uint_eq(walked, 3);
    keys_each_epoch(to, walk_epoch, &epoch_id);
    ck_assert_uint_eq(walked, 4);
    table_abort(&to);
    table_env_close(&copy);
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

SUITE_MAIN_WITH("keys", setup, teardown, a_record_key_is_found_by_its_record_and_by_the_first_eight_bytes,
                a_record_key_belongs_to_one_compartment, the_entry_that_first_brought_a_key_is_remembered,
                a_key_payload_comes_back_as_it_was, every_epoch_key_is_walked_once,
                c1_no_key_and_no_id_lies_open_in_the_files, a_deleted_key_is_gone_and_its_neighbours_are_not,
                a_copy_under_another_wrapping_key_holds_the_same)
