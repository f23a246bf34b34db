/* A file is damaged in a child process: a crafted page may crash LMDB, and a crash is no wrong answer. */
#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/base/log.h"
#include "store/table.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* --- Damage --------------------------------------------------------------- */

static const char *
file_of(const char *name)
{
    static char at[128];

    snprintf(at, sizeof at, "%s/%s", path, name);
    return at;
}

static const enum table_id damaged_tables[] = { TABLE_ENT, TABLE_ROPS, TABLE_SUM, TABLE_CONF };
enum { DAMAGED_TABLES = 4, DAMAGED_ROWS = 60, DAMAGED_BIG = 3 };

/* Row n of a table of the damaged environment; the last ones are larger than a page. */
static void
damaged_row(size_t table, uint32_t n, uint8_t key_out[8], struct buf *value_out)
{
    size_t size = n >= DAMAGED_ROWS - DAMAGED_BIG ? 5000 : 10 + (7 * n) % 90;

    bytes_write_u32(key_out, 0x01020304);
    bytes_write_u32(key_out + 4, n * 0x01010101);
    buf_clear(value_out);
    for (size_t at = 0; at < size; at++) {
        buf_put_u8(value_out, (uint8_t)(table * 61 + n * 7 + at * 13));
    }
}

/* An environment of a few pages, and its file. */
static void
make_damaged(struct buf *file_out)
{
    struct buf value = { 0 };
    uint8_t key[8];

    for (int half = 0; half < 2; half++) {
        begin();
        for (size_t table = 0; table < DAMAGED_TABLES; table++) {
            for (uint32_t n = (uint32_t)half; n < DAMAGED_ROWS; n += 2) {
                damaged_row(table, n, key, &value);
                table_put(txn, damaged_tables[table], span_of(key, sizeof key), buf_span(&value));
            }
        }
        commit();
    }
    table_env_close(&env);
    buf_free(&value);
    int file = open(file_of("data.mdb"), O_RDONLY | O_CLOEXEC);
    struct stat stat_of;
    ck_assert_int_eq(fstat(file, &stat_of), 0);
    uint8_t *at = buf_extend(file_out, (size_t)stat_of.st_size);
    ck_assert_int_eq(read(file, at, file_out->size), stat_of.st_size);
    close(file);
}

static void
write_byte(size_t offset, uint8_t byte)
{
    int file = open(file_of("data.mdb"), O_WRONLY | O_CLOEXEC);

    ck_assert_int_eq(pwrite(file, &byte, 1, (off_t)offset), 1);
    close(file);
}

enum answer { ANSWER_RIGHT, ANSWER_REFUSED, ANSWER_WRONG, ANSWER_DIED };

/* Every row by its key, and every walk: each gives the row as it was put, or it is known to be damaged. */
static enum answer
read_damaged(void)
{
    struct table_options options = options_of(path);
    struct buf expected = { 0 };
    struct buf got = { 0 };
    uint8_t key[8];
    bool missing = false;
    bool refused = false;
    bool wrong = false;

    if (table_env_open(&env, &options) != ERR_OK) {
        return ANSWER_REFUSED;
    }
    if (table_begin_read(env, &txn) != ERR_OK) {
        table_env_close(&env);
        return ANSWER_REFUSED;
    }
    for (size_t table = 0; table < DAMAGED_TABLES; table++) {
        for (uint32_t n = 0; n < DAMAGED_ROWS; n++) {
            damaged_row(table, n, key, &expected);
            enum err err = table_read(txn, damaged_tables[table], span_of(key, sizeof key), &got);
            missing = missing || err == ERR_ABSENT;
            refused = refused || (err != ERR_OK && err != ERR_ABSENT);
            wrong = wrong || (err == ERR_OK && !span_equal(buf_span(&got), buf_span(&expected)));
        }
        struct table_cursor cursor;
        struct span at;
        struct span value;
        table_cursor_init(&cursor, txn, damaged_tables[table], span_of(NULL, 0));
        for (uint32_t steps = 0; steps < 4 * DAMAGED_ROWS && table_cursor_next(&cursor, &at, &value);
             steps++) {
            uint32_t n = at.size == sizeof key ? bytes_read_u32(at.data + 4) / 0x01010101 : 0;
            damaged_row(table, n, key, &expected);
            wrong = wrong || (value.data != NULL && (!span_equal(at, span_of(key, sizeof key)) ||
                                                     !span_equal(value, buf_span(&expected))));
        }
        table_cursor_end(&cursor);
        refused = table_check(txn, damaged_tables[table]) != ERR_OK || refused;
    }
    table_abort(&txn);
    table_env_close(&env);
    buf_free(&expected);
    buf_free(&got);
    return wrong || (missing && !refused) ? ANSWER_WRONG : refused ? ANSWER_REFUSED : ANSWER_RIGHT;
}

/* Flip each of these bits alone and read everything, in children that may die. */
static void
flip_bits(const struct buf *file, const size_t *bits, size_t count, uint32_t answers_out[4])
{
    struct shared {
        size_t next;
        uint32_t answers[4];
    } *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(shared, MAP_FAILED);
    while (shared->next < count) {
        pid_t child = fork();
        if (child == 0) {
            /* A crash is expected here, and its report is not. */
            int nowhere = open("/dev/null", O_WRONLY);
            dup2(nowhere, STDERR_FILENO);
            signal(SIGSEGV, SIG_DFL);
            signal(SIGBUS, SIG_DFL);
            while (shared->next < count) {
                size_t bit = bits[shared->next++];
                alarm(20);
                write_byte(bit / 8, file->data[bit / 8] ^ (uint8_t)(1U << bit % 8));
                enum answer answer = read_damaged();
                if (answer == ANSWER_WRONG) {
                    printf("wrong answer: bit %zu\n", bit);
                    fflush(stdout);
                }
                shared->answers[answer]++;
                write_byte(bit / 8, file->data[bit / 8]);
            }
            _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            size_t bit = bits[shared->next - 1];
            shared->answers[ANSWER_DIED]++;
            write_byte(bit / 8, file->data[bit / 8]);
        }
    }
    memcpy(answers_out, shared->answers, sizeof shared->answers);
    munmap(shared, sizeof *shared);
    printf("flips %zu: harmless %u, refused %u, wrong %u, LMDB died %u\n", count, answers_out[ANSWER_RIGHT],
           answers_out[ANSWER_REFUSED], answers_out[ANSWER_WRONG], answers_out[ANSWER_DIED]);
    fflush(stdout);
}

START_TEST(a_flipped_bit_of_a_stored_row_is_never_a_wrong_value)
{
    enum { FLIPS = 6000 };
    struct buf file = { 0 };
    struct buf value = { 0 };
    static size_t bits[FLIPS];
    uint32_t answers[4];
    uint8_t key[8];

    make_damaged(&file);
    /* Rows of tagged tables, which are found by their content: key, value and tag. */
    for (size_t n = 0; n < FLIPS; n++) {
        size_t table = draw(2);
        damaged_row(table, draw(DAMAGED_ROWS), key, &value);
        uint8_t *at = memmem(file.data, file.size, value.data, value.size);
        ck_assert_ptr_nonnull(at);
        size_t from = (size_t)(at - file.data) - (value.size > 4096 ? 0 : sizeof key);
        size_t to = (size_t)(at - file.data) + value.size + ROW_TAG_BYTES;
        bits[n] = 8 * from + draw((uint32_t)(8 * (to - from)));
    }
    flip_bits(&file, bits, FLIPS, answers);
    ck_assert_uint_eq(answers[ANSWER_WRONG], 0);
    ck_assert_uint_eq(answers[ANSWER_DIED], 0);
    /* A page that LMDB has given up keeps old rows: some of those found are such copies. */
    ck_assert_uint_gt(answers[ANSWER_REFUSED], FLIPS / 4);
    buf_free(&file);
    buf_free(&value);
}
END_TEST

START_TEST(a_flipped_bit_anywhere_behind_the_first_pages_is_never_a_wrong_value)
{
    enum { FLIPS = 6000, META_BYTES = 2 * 4096 };
    struct buf file = { 0 };
    static size_t bits[FLIPS];
    uint32_t answers[4];

    make_damaged(&file);
    for (size_t n = 0; n < FLIPS; n++) {
        do {
            bits[n] = 8 * META_BYTES + draw((uint32_t)(8 * (file.size - META_BYTES)));
        } while (file.data[bits[n] / 8] == 0 && draw(8) != 0);
    }
    flip_bits(&file, bits, FLIPS, answers);
    ck_assert_uint_eq(answers[ANSWER_WRONG], 0);
    ck_assert_uint_gt(answers[ANSWER_REFUSED], FLIPS / 4);
    buf_free(&file);
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
    tcase_add_test(tests, a_flipped_bit_of_a_stored_row_is_never_a_wrong_value);
    tcase_add_test(tests, a_flipped_bit_anywhere_behind_the_first_pages_is_never_a_wrong_value);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
