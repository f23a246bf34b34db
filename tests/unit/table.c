/* A file is damaged in a child process: a crafted page may crash LMDB, and a crash is no wrong answer. */
#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/base/log.h"
#include "store/table.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char path[80];
static struct test_world world;
static struct table_env *env;
static struct table_txn *txn;
static const struct key main_key = { "a storage key, of thirty-two byt" };

static struct table_options
options_of(const char *where)
{
    return (struct table_options){
        .path = where,
        .set = TABLE_SET_MAIN,
        .key = &main_key,
        .world = &world.world,
        .map_bytes = 1 << 20,
    };
}

static void
hear_nothing(void *self, const char *line)
{
    (void)self;
    (void)line;
}

static void
open_again(void)
{
    struct table_options options = options_of(path);

    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
}

static void
setup(void)
{
    log_to(hear_nothing, NULL);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 1);
    strcpy(directory, "/tmp/vigil-table-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/main", directory);
    open_again();
}

static void
remove_tree(const char *where)
{
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    char name[128];

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        snprintf(name, sizeof name, "%s/%s", where, names[n]);
        unlink(name);
    }
    rmdir(where);
}

static void
teardown(void)
{
    table_abort(&txn);
    table_env_close(&env);
    remove_tree(path);
    rmdir(directory);
}

static void
begin(void)
{
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
}

static void
commit(void)
{
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    ck_assert_ptr_null(txn);
}

static void
put(enum table_id table, const char *key, const char *value)
{
    table_put(txn, table, span_text(key), span_text(value));
}

static bool
holds(enum table_id table, const char *key, const char *value)
{
    struct buf buf = { 0 };

    bool same = table_read(txn, table, span_text(key), &buf) == ERR_OK &&
                span_equal(buf_span(&buf), span_text(value));
    buf_free(&buf);
    return same;
}

START_TEST(a_row_comes_back_in_its_turn_and_after_it)
{
    struct span value;
    struct buf buf = { 0 };

    begin();
    put(TABLE_ENT, "tagged", "an entry");
    put(TABLE_SUM, "sealed", "a summary");
    put(TABLE_ROPS, "nothing", "");
    put(TABLE_CONF, "nothing", "");
    ck_assert(holds(TABLE_ENT, "tagged", "an entry"));
    ck_assert(holds(TABLE_SUM, "sealed", "a summary"));
    commit();
    table_env_close(&env);
    open_again();
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_ENT, "tagged", "an entry"));
    ck_assert(holds(TABLE_SUM, "sealed", "a summary"));
    ck_assert(holds(TABLE_CONF, "nothing", ""));
    ck_assert_int_eq(table_get(txn, TABLE_ROPS, span_text("nothing"), &value), ERR_OK);
    ck_assert_uint_eq(value.size, 0);
    ck_assert_ptr_nonnull(value.data);
    ck_assert(table_has(txn, TABLE_ROPS, span_text("nothing")));
    ck_assert(!table_has(txn, TABLE_ROPS, span_text("nothin")));
    ck_assert_int_eq(table_get(txn, TABLE_ENT, span_text("tag"), &value), ERR_ABSENT);
    ck_assert_int_eq(table_read(txn, TABLE_SUM, span_text("tag"), &buf), ERR_ABSENT);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), 1);
    ck_assert_uint_eq(table_count(txn, TABLE_CHG), 0);
    buf_free(&buf);
}
END_TEST

START_TEST(a_row_is_replaced_removed_and_copied_from_itself)
{
    struct span value;

    begin();
    put(TABLE_ENT, "a", "one");
    put(TABLE_ENT, "a", "another, longer one");
    ck_assert(holds(TABLE_ENT, "a", "another, longer one"));
    for (int n = 0; n < 2000; n++) {
        uint8_t key[3];
        ck_assert_int_eq(table_get(txn, TABLE_ENT, span_text("a"), &value), ERR_OK);
        key[0] = 'b';
        bytes_write_u16(key + 1, (uint16_t)n);
        table_put(txn, TABLE_ENT, span_of(key, sizeof key), value);
        ck_assert_int_eq(table_get(txn, TABLE_ENT, span_of(key, sizeof key), &value), ERR_OK);
        ck_assert(span_equal(value, span_text("another, longer one")));
    }
    ck_assert(table_delete(txn, TABLE_ENT, span_text("a")));
    ck_assert(!table_delete(txn, TABLE_ENT, span_text("a")));
    ck_assert_int_eq(table_get(txn, TABLE_ENT, span_text("a"), &value), ERR_ABSENT);
    ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_OK);
    commit();
}
END_TEST

START_TEST(what_is_aborted_never_was)
{
    begin();
    put(TABLE_ENT, "a", "one");
    commit();
    begin();
    put(TABLE_ENT, "a", "two");
    table_clear(txn, TABLE_ENT, span_of(NULL, 0));
    table_abort(&txn);
    ck_assert_ptr_null(txn);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_ENT, "a", "one"));
}
END_TEST

/* Walks, puts, deletes and clears of both kinds of table against a sorted array of rows. */
enum { MODEL_KEYS = 700 };

static uint32_t
draw(uint32_t below)
{
    uint32_t number;

    world_random(&world.world, &number, sizeof number);
    return number % below;
}

/* Key n of the model: short, with runs of 0xff. */
static struct span
model_key(uint32_t n, uint8_t out[5])
{
    static const uint8_t letters[] = { 0x00, 0x01, 0x7f, 0xfe, 0xff };
    size_t size = 0;
    uint32_t rest = n % MODEL_KEYS + 1;

    while (rest > 0) {
        out[size++] = letters[rest % 5];
        rest /= 5;
    }
    return span_of(out, size);
}

static bool
starts_with(struct span key, struct span prefix)
{
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static void
check_walk(enum table_id table, const uint16_t *model, struct span prefix, struct span from)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint8_t bytes[5];
    uint8_t last[5];
    size_t last_size = 0;
    size_t expected = 0;
    size_t found = 0;

    for (uint32_t n = 0; n < MODEL_KEYS; n++) {
        struct span at = model_key(n, bytes);
        expected += model[n] > 0 && starts_with(at, prefix) && span_compare(at, from) >= 0;
    }
    table_cursor_init(&cursor, txn, table, prefix);
    bool more = from.size > 0 ? table_cursor_seek(&cursor, from, &key, &value)
                              : table_cursor_next(&cursor, &key, &value);
    for (; more; more = table_cursor_next(&cursor, &key, &value)) {
        uint8_t content[2];
        uint32_t n = 0;
        while (n < MODEL_KEYS && !span_equal(model_key(n, bytes), key)) {
            n++;
        }
        ck_assert_uint_lt(n, MODEL_KEYS);
        bytes_write_u16(content, model[n]);
        ck_assert(starts_with(key, prefix) && span_compare(key, from) >= 0);
        ck_assert(span_equal(value, span_of(content, 2)));
        ck_assert_int_lt(span_compare(span_of(last, last_size), key), 0);
        memcpy(last, key.data, key.size);
        last_size = key.size;
        found++;
    }
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    ck_assert_uint_eq(found, expected);
    if (from.size == 0) {
        ck_assert(table_cursor_last(&cursor, &key, &value) == (expected > 0));
        ck_assert(expected == 0 || span_equal(key, span_of(last, last_size)));
    }
    table_cursor_end(&cursor);
}

START_TEST(any_run_of_steps_leaves_what_a_sorted_array_holds)
{
    enum table_id table = _i == 0 ? TABLE_ENT : TABLE_SUM;
    static uint16_t model[MODEL_KEYS];
    uint8_t bytes[5];
    uint8_t prefix[5];

    memset(model, 0, sizeof model);
    for (int round = 0; round < 60; round++) {
        begin();
        for (int step = 0; step < 60; step++) {
            uint32_t n = draw(MODEL_KEYS);
            struct span key = model_key(n, bytes);
            uint8_t content[2];
            switch (draw(8)) {
            case 0:
            case 1:
                ck_assert(table_delete(txn, table, key) == (model[n] > 0));
                model[n] = 0;
                break;
            case 2:
                key.size = draw(40) == 0 ? 1 : key.size;
                table_clear(txn, table, key);
                for (uint32_t other = 0; other < MODEL_KEYS; other++) {
                    model[other] = starts_with(model_key(other, prefix), key) ? 0 : model[other];
                }
                break;
            default:
                model[n] = (uint16_t)(1 + draw(60000));
                bytes_write_u16(content, model[n]);
                table_put(txn, table, key, span_of(content, 2));
            }
        }
        check_walk(table, model, span_of(NULL, 0), span_of(NULL, 0));
        for (int walk = 0; walk < 4; walk++) {
            struct span key = model_key(draw(MODEL_KEYS), bytes);
            struct span under = model_key(draw(MODEL_KEYS), prefix);
            under.size = draw((uint32_t)under.size + 1);
            check_walk(table, model, under, span_of(NULL, 0));
            check_walk(table, model, under, key);
        }
        ck_assert_int_eq(table_check(txn, table), ERR_OK);
        commit();
    }
}
END_TEST

START_TEST(a_second_opening_is_refused_until_the_first_has_closed)
{
    struct table_options options = options_of(path);
    struct table_env *second;

    ck_assert_int_eq(table_env_open(&second, &options), ERR_BUSY);
    ck_assert_ptr_null(second);
    pid_t child = fork();
    if (child == 0) {
        _exit(table_env_open(&second, &options));
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == ERR_BUSY);
    table_env_close(&env);
    open_again();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");
    tcase_set_timeout(tests, TEST_SECONDS_MAX);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_row_comes_back_in_its_turn_and_after_it);
    tcase_add_test(tests, a_row_is_replaced_removed_and_copied_from_itself);
    tcase_add_test(tests, what_is_aborted_never_was);
    tcase_add_loop_test(tests, any_run_of_steps_leaves_what_a_sorted_array_holds, 0, 2);
    tcase_add_test(tests, a_second_opening_is_refused_until_the_first_has_closed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
