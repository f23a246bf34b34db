/* A file is damaged in a child process: a crafted page may crash LMDB, and a crash is no wrong answer. */
#include "tests/support/check.h"
#include "tests/support/disk/steps.h"
#include "tests/support/world.h"

#include "store/base/log.h"
#include "store/table.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
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
    static const char *const names[] = { "data.mdb", "data.mdb.new", "lock.mdb", "owner" };
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
    put(TABLE_CELL, "nothing", "");
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
    ck_assert_int_eq(table_get(txn, TABLE_CELL, span_text("nothing"), &value), ERR_OK);
    ck_assert_uint_eq(value.size, 0);
    ck_assert_ptr_nonnull(value.data);
    ck_assert(table_has(txn, TABLE_CELL, span_text("nothing")));
    ck_assert(!table_has(txn, TABLE_CELL, span_text("nothin")));
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
    return key.size >= prefix.size && span_equal(span_of(key.data, prefix.size), prefix);
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

START_TEST(i10_a_second_opening_is_refused_until_the_first_has_closed)
{
    struct table_options options = options_of(path);
    struct table_env *second;

    ck_assert_int_eq(table_env_open(&second, &options), ERR_BUSY);
    ck_assert_ptr_null(second);
    pid_t child = fork();
    if (child == 0) {
        _exit((int)table_env_open(&second, &options));
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

static const enum table_id damaged_tables[] = { TABLE_ENT, TABLE_CELL, TABLE_SUM, TABLE_CONF };
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

/* End a child that a damaged page leads round and round. Only time of the processor counts: a machine that has other
 * work lets it wait. */
static void
limit_seconds(time_t seconds)
{
    const struct itimerval limit = { .it_value = { .tv_sec = seconds } };

    ck_assert_int_eq(setitimer(ITIMER_PROF, &limit, NULL), 0);
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
                limit_seconds(20);
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

/* Flip one bit of the `at`th byte of the key whose row has this value, and of each copy that older pages have. */
static void
flip_in_key(const char *key, const char *value, size_t at)
{
    static uint8_t bytes[1 << 20];
    char row[64];

    int length = snprintf(row, sizeof row, "%s%s", key, value);
    int file = open(file_of("data.mdb"), O_RDONLY | O_CLOEXEC);
    ssize_t size = read(file, bytes, sizeof bytes);
    close(file);
    ck_assert_int_gt(size, 0);
    for (uint8_t *found = memmem(bytes, (size_t)size, row, (size_t)length); found != NULL;
         found = memmem(found + 1, (size_t)(bytes + size - found) - 1, row, (size_t)length)) {
        write_byte((size_t)(found - bytes) + at, found[at] ^ 8);
    }
}

static enum err
check_range(const char *prefix)
{
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    enum err err = table_check_range(txn, TABLE_CELL, span_text(prefix));
    table_abort(&txn);
    return err;
}

static enum err
check_absent(const char *key)
{
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    enum err err = table_check_absent(txn, TABLE_CELL, span_text(key));
    table_abort(&txn);
    return err;
}

/* The first of them, one within, the last, the only one: wherever the damaged key sends whoever looks for it, what is beside the others tells. */
START_TEST(i1_a_row_that_a_damaged_key_hides_is_missed)
{
    static const struct {
        const char *key;
        const char *value;
    } rows[] = { { "aa1", "first row" },  { "aa2", "second row" }, { "bb1", "third row" },
                 { "bb2", "fourth row" }, { "bb3", "fifth row" },  { "cc1", "sixth row" },
                 { "dd1", "seventh row" } };

    begin();
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        put(TABLE_CELL, rows[n].key, rows[n].value);
    }
    commit();
    ck_assert_int_eq(check_range("bb"), ERR_OK);
    ck_assert_int_eq(check_range("zz"), ERR_OK);
    ck_assert_int_eq(check_range("a"), ERR_OK);
    ck_assert_int_eq(check_absent("bb4"), ERR_OK);
    ck_assert_int_eq(check_absent("0"), ERR_OK);
    for (size_t n = 2; n < 6; n++) {
        for (size_t at = 0; at < 3; at++) {
            char prefix[3] = { rows[n].key[0], rows[n].key[1], '\0' };

            table_env_close(&env);
            flip_in_key(rows[n].key, rows[n].value, at);
            open_again();
            if (at < 2) {
                ck_assert_int_eq(check_range(prefix), ERR_CORRUPT);
            }
            ck_assert_int_eq(check_absent(rows[n].key), ERR_CORRUPT);
            ck_assert_int_eq(check_range("aa1"), ERR_OK);
            table_env_close(&env);
            char damaged[4] = { rows[n].key[0], rows[n].key[1], rows[n].key[2], '\0' };
            damaged[at] ^= 8;
            flip_in_key(damaged, rows[n].value, at);
            open_again();
            ck_assert_int_eq(check_range(prefix), ERR_OK);
        }
    }
}
END_TEST

/* Read whatever an opening gives and close it: in a child, so that a SIGBUS would be seen. */
static enum answer
answer_of_child(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        limit_seconds(60);
        _exit((int)read_damaged());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? (enum answer)WEXITSTATUS(status) : ANSWER_DIED;
}

START_TEST(a_truncated_file_is_refused_at_every_page)
{
    struct buf file = { 0 };
    struct table_options options = options_of(path);

    make_damaged(&file);
    ck_assert_int_eq(answer_of_child(), ANSWER_RIGHT);
    for (size_t size = 0; size < file.size; size += size % 4096 == 0 ? 1 : 4095) {
        ck_assert_int_eq(truncate(file_of("data.mdb"), (off_t)size), 0);
        ck_assert_int_eq(answer_of_child(), ANSWER_REFUSED);
        ck_assert_int_eq(table_env_open(&env, &options), ERR_CORRUPT);
        ck_assert_ptr_null(env);
        int data = open(file_of("data.mdb"), O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(pwrite(data, file.data, file.size, 0), (ssize_t)file.size);
        close(data);
    }
    ck_assert_int_eq(answer_of_child(), ANSWER_RIGHT);
    buf_free(&file);
}
END_TEST

START_TEST(a_zeroed_page_or_two_pages_swapped_never_give_a_wrong_value)
{
    enum { PAGE = 4096 };
    static uint8_t page[PAGE];
    struct buf file = { 0 };
    uint32_t refused = 0;

    make_damaged(&file);
    for (size_t at = 2 * PAGE; at < file.size; at += PAGE) {
        size_t other = at + PAGE < file.size ? at + PAGE : 2 * PAGE;
        int data = open(file_of("data.mdb"), O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(pwrite(data, page, PAGE, (off_t)at), PAGE);
        enum answer zeroed = answer_of_child();
        ck_assert_int_eq(pwrite(data, file.data + other, PAGE, (off_t)at), PAGE);
        ck_assert_int_eq(pwrite(data, file.data + at, PAGE, (off_t)other), PAGE);
        enum answer swapped = answer_of_child();
        ck_assert_int_eq(pwrite(data, file.data + at, PAGE, (off_t)at), PAGE);
        ck_assert_int_eq(pwrite(data, file.data + other, PAGE, (off_t)other), PAGE);
        close(data);
        ck_assert_int_ne(zeroed, ANSWER_WRONG);
        ck_assert_int_ne(swapped, ANSWER_WRONG);
        refused += zeroed == ANSWER_REFUSED;
    }
    ck_assert_uint_gt(refused, 4);
    ck_assert_int_eq(answer_of_child(), ANSWER_RIGHT);
    buf_free(&file);
}
END_TEST

/* Copy the stored bytes of one row to another, past table.c. */
static void
copy_raw(const char *from_table, const char *from_key, const char *to_table, const char *to_key)
{
    MDB_env *raw;
    MDB_txn *raw_txn;
    MDB_dbi from;
    MDB_dbi to;
    MDB_val key = { strlen(from_key), (void *)(uintptr_t)from_key };
    MDB_val value;
    static uint8_t copy[256];

    table_env_close(&env);
    ck_assert_int_eq(mdb_env_create(&raw), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(raw, 64), 0);
    ck_assert_int_eq(mdb_env_open(raw, path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(raw, NULL, 0, &raw_txn), 0);
    ck_assert_int_eq(mdb_dbi_open(raw_txn, from_table, 0, &from), 0);
    ck_assert_int_eq(mdb_dbi_open(raw_txn, to_table, 0, &to), 0);
    ck_assert_int_eq(mdb_get(raw_txn, from, &key, &value), 0);
    ck_assert_uint_le(value.mv_size, sizeof copy);
    memcpy(copy, value.mv_data, value.mv_size);
    value.mv_data = copy;
    key = (MDB_val){ strlen(to_key), (void *)(uintptr_t)to_key };
    ck_assert_int_eq(mdb_put(raw_txn, to, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(raw_txn), 0);
    mdb_env_close(raw);
    open_again();
}

START_TEST(a_row_moved_to_another_key_or_table_does_not_verify)
{
    struct buf got = { 0 };
    struct span value;
    struct table_stat stat_of;

    begin();
    put(TABLE_ENT, "a", "one");
    put(TABLE_ENT, "b", "two");
    put(TABLE_SUM, "a", "one");
    put(TABLE_SUM, "b", "two");
    commit();
    copy_raw("ent", "a", "ent", "b");
    copy_raw("ent", "a", "cell", "a");
    copy_raw("sum", "a", "sum", "b");
    copy_raw("sum", "a", "conf", "a");
    copy_raw("ent", "a", "token", "a");
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_int_eq(table_get(txn, TABLE_ENT, span_text("b"), &value), ERR_CORRUPT);
    ck_assert_ptr_null(value.data);
    ck_assert_int_eq(table_get(txn, TABLE_CELL, span_text("a"), &value), ERR_CORRUPT);
    ck_assert_int_eq(table_read(txn, TABLE_ENT, span_text("b"), &got), ERR_CORRUPT);
    ck_assert_int_eq(table_read(txn, TABLE_SUM, span_text("b"), &got), ERR_CORRUPT);
    ck_assert_int_eq(table_read(txn, TABLE_CONF, span_text("a"), &got), ERR_CORRUPT);
    ck_assert_int_eq(table_read(txn, TABLE_TOKEN, span_text("a"), &got), ERR_CORRUPT);
    ck_assert_uint_eq(got.size, 0);
    ck_assert_int_eq(table_error(txn), ERR_OK);
    ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_CORRUPT);
    ck_assert(holds(TABLE_ENT, "a", "one"));
    ck_assert(holds(TABLE_SUM, "a", "one"));
    table_env_stat(env, &stat_of);
    ck_assert_uint_ge(stat_of.corrupt_count, 7);
    table_abort(&txn);

    /* A damaged row is given without a value, and can be written anew. */
    struct table_cursor cursor;
    struct span key;
    begin();
    table_cursor_init(&cursor, txn, TABLE_SUM, span_of(NULL, 0));
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(value, span_text("one")));
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(key, span_text("b")));
    ck_assert_ptr_null(value.data);
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    table_cursor_end(&cursor);
    put(TABLE_SUM, "b", "three");
    commit();
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_SUM, "b", "three"));
    buf_free(&got);
}
END_TEST

/* --- Opening -------------------------------------------------------------- */

START_TEST(i15_another_key_another_set_and_a_newer_format_are_told_apart)
{
    static const struct key other = { "a storage key, of thirty-two byT" };
    struct table_options options = options_of(path);
    uint8_t format[NONCE_BYTES + 5 + SEAL_BYTES] = { 1 };
    struct nonce nonce = { { 1 } };
    struct key seal;
    struct span from = span_of(main_key.bytes, KEY_BYTES);

    table_env_close(&env);
    options.key = &other;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_CORRUPT);
    options.key = &main_key;
    options.set = TABLE_SET_KEYS;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_CORRUPT);
    ck_assert_ptr_null(env);

    /* What a program of format 2 would leave. */
    MDB_env *raw;
    MDB_txn *raw_txn;
    MDB_dbi dbi;
    MDB_val key = { 6, (void *)(uintptr_t) "format" };
    MDB_val value = { sizeof format, format };
    static const uint8_t version_two[5] = { 0, 0, 0, 2, TABLE_SET_MAIN };
    crypto_derive(&seal, "vigil.row.key.v1", &from, 1);
    crypto_seal(format + NONCE_BYTES, &seal, &nonce, span_of("\0format", 7), span_of(version_two, 5));
    ck_assert_int_eq(mdb_env_create(&raw), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(raw, 64), 0);
    ck_assert_int_eq(mdb_env_open(raw, path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(raw, NULL, 0, &raw_txn), 0);
    ck_assert_int_eq(mdb_dbi_open(raw_txn, "format", 0, &dbi), 0);
    ck_assert_int_eq(mdb_put(raw_txn, dbi, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(raw_txn), 0);
    mdb_env_close(raw);
    options.set = TABLE_SET_MAIN;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_NEWER);
}
END_TEST

START_TEST(an_emptied_or_missing_file_is_damage_and_no_new_beginning)
{
    struct table_options options = options_of(path);

    table_env_close(&env);
    ck_assert_int_eq(truncate(file_of("data.mdb"), 0), 0);
    ck_assert_int_eq(table_env_open(&env, &options), ERR_CORRUPT);
    ck_assert_int_eq(unlink(file_of("data.mdb")), 0);
    ck_assert_int_eq(table_env_open(&env, &options), ERR_CORRUPT);
    ck_assert_int_eq(access(file_of("data.mdb"), F_OK), -1);
    /* Where making it was cut short, it is made. */
    ck_assert_int_eq(truncate(file_of("owner"), 0), 0);
    open_again();
    begin();
    put(TABLE_ENT, "a", "one");
    commit();
}
END_TEST

START_TEST(o3_a_read_only_opening_reads_and_makes_nothing)
{
    struct table_options options = options_of(path);

    begin();
    put(TABLE_SUM, "a", "one");
    commit();
    table_env_close(&env);
    options.read_only = true;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_SUM, "a", "one"));
    table_abort(&txn);
    table_env_close(&env);
    char none[96];
    snprintf(none, sizeof none, "%s/none", directory);
    options.path = none;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_ABSENT);
    ck_assert_int_eq(access(none, F_OK), -1);
}
END_TEST

START_TEST(c10_files_are_for_their_owner_alone_and_closed_on_exec)
{
    static const mode_t masks[] = { 0, 0077, 0777 };
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    struct stat stat_of;

    for (size_t n = 0; n < sizeof masks / sizeof masks[0]; n++) {
        table_env_close(&env);
        remove_tree(path);
        umask(masks[n]);
        open_again();
        umask(022);
        ck_assert_int_eq(lstat(path, &stat_of), 0);
        ck_assert_uint_eq(stat_of.st_mode & 07777, 0700);
        for (size_t name = 0; name < 3; name++) {
            ck_assert_int_eq(lstat(file_of(names[name]), &stat_of), 0);
            ck_assert_uint_eq(stat_of.st_mode & 07777, 0600);
        }
    }
    size_t held = 0;
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        char link[64];
        char target[256] = { 0 };
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        if (readlink(link, target, sizeof target - 1) > 0 && strncmp(target, path, strlen(path)) == 0) {
            ck_assert_int_eq(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            held++;
        }
    }
    ck_assert_uint_ge(held, 4);
}
END_TEST

START_TEST(c10_symlinks_are_refused)
{
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    char aside[96];
    struct table_options options = options_of(path);

    table_env_close(&env);
    snprintf(aside, sizeof aside, "%s/aside", directory);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(rename(file_of(names[n]), aside), 0);
        ck_assert_int_eq(symlink(aside, file_of(names[n])), 0);
        ck_assert_int_eq(table_env_open(&env, &options), ERR_DENIED);
        ck_assert_int_eq(unlink(file_of(names[n])), 0);
        ck_assert_int_eq(rename(aside, file_of(names[n])), 0);
    }
    char link[100];
    snprintf(link, sizeof link, "%s/link", directory);
    ck_assert_int_eq(symlink(path, link), 0);
    options.path = link;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_DENIED);
    strcat(link, "/");
    ck_assert_int_eq(table_env_open(&env, &options), ERR_DENIED);
    link[strlen(link) - 1] = '\0';
    ck_assert_int_eq(unlink(link), 0);
    open_again();
}
END_TEST

START_TEST(a_network_or_kernel_file_system_is_refused)
{
    struct table_options options = options_of("/proc/self");
    struct table_env *second;

    options.read_only = true;
    options.path = "/proc/self/fd";
    ck_assert_int_eq(table_env_open(&second, &options), ERR_DENIED);
    ck_assert_ptr_null(second);
}
END_TEST

START_TEST(c1_what_people_could_read_is_in_no_file)
{
    static const char marker[] = "Zanele Mthembu-Okonkwo, witness";
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    uint8_t hash[16];
    const struct span parts[] = { span_text("a record id") };

    begin();
    for (size_t table = 0; table < TABLE_KEYS_RECORD; table++) {
        static const bool tagged[TABLE_COUNT] = {
            [TABLE_LOGID] = true,  [TABLE_ENT] = true,   [TABLE_SIG] = true, [TABLE_CHG] = true,
            [TABLE_REC] = true,    [TABLE_CELL] = true,  [TABLE_IDX] = true, [TABLE_PEND] = true,
            [TABLE_PFRONT] = true, [TABLE_BLOBM] = true,
        };
        table_hash(env, hash, "vigil.test.row", parts, 1);
        if (!tagged[table]) {
            table_put(txn, (enum table_id)table, span_of(hash, sizeof hash), span_text(marker));
            put((enum table_id)table, "again", marker);
        }
    }
    commit();
    begin();
    ck_assert(table_delete(txn, TABLE_CONF, span_text("again")));
    put(TABLE_SUM, "again", "Zanele Mthembu-Okonkwo, witness, and more");
    commit();
    table_env_close(&env);
    for (size_t n = 0; n < 3; n++) {
        static uint8_t content[2 << 20];
        FILE *file = fopen(file_of(names[n]), "rb");
        ck_assert_ptr_nonnull(file);
        size_t size = fread(content, 1, sizeof content, file);
        fclose(file);
        ck_assert_ptr_null(memmem(content, size, marker, 8));
        ck_assert_ptr_null(memmem(content, size, "a record id", 11));
        ck_assert_ptr_null(memmem(content, size, main_key.bytes, 8));
        ck_assert(n != 0 || memmem(content, size, "again", 5) != NULL);
    }
}
END_TEST

START_TEST(a_hash_of_an_id_depends_on_the_key_and_the_context)
{
    static const struct key other = { "a storage key, of thirty-two byT" };
    const struct span parts[] = { span_text("ab"), span_text("c") };
    const struct span whole[] = { span_text("abc") };
    uint8_t here[16];
    uint8_t again[16];

    table_hash(env, here, "vigil.test.a", parts, 2);
    table_hash(env, again, "vigil.test.a", whole, 1);
    ck_assert_mem_eq(here, again, sizeof here);
    table_hash(env, again, "vigil.test.b", whole, 1);
    ck_assert_mem_ne(here, again, sizeof here);
    table_env_close(&env);
    remove_tree(path);
    struct table_options options = options_of(path);
    options.key = &other;
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    table_hash(env, again, "vigil.test.a", whole, 1);
    ck_assert_mem_ne(here, again, sizeof here);
}
END_TEST

/* --- The map -------------------------------------------------------------- */

/* Put `count` rows of a kilobyte from number `from` on, until one fails. */
static void
put_many(uint32_t from, uint32_t count)
{
    static uint8_t value[1024];
    uint8_t key[4];

    for (uint32_t n = from; n < from + count && table_error(txn) == ERR_OK; n++) {
        bytes_write_u32(key, n);
        memset(value, (int)n, sizeof value);
        table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_of(value, sizeof value));
    }
}

static void
check_many(uint32_t count)
{
    struct span value;
    uint8_t key[4];

    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), count);
    for (uint32_t n = 0; n < count; n++) {
        bytes_write_u32(key, n);
        ck_assert_int_eq(table_get(txn, TABLE_ENT, span_of(key, sizeof key), &value), ERR_OK);
        ck_assert_uint_eq(value.data[0], n & 0xff);
    }
    ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_OK);
    table_abort(&txn);
}

START_TEST(the_map_grows_while_three_times_as_much_is_written)
{
    struct table_stat before;
    struct table_stat after;

    table_env_stat(env, &before);
    for (uint32_t n = 0; n < 3072; n += 64) {
        begin();
        put_many(n, 64);
        commit();
    }
    table_env_stat(env, &after);
    ck_assert_uint_eq(before.map_bytes, 1 << 20);
    ck_assert_uint_ge(after.map_bytes, 4 << 20);
    ck_assert_uint_ge(after.used_bytes, 3 << 20);
    ck_assert_uint_ge(after.file_bytes, after.used_bytes);
    ck_assert_uint_le(after.file_bytes, after.map_bytes);
    check_many(3072);
    /* A map that has grown stays so, whatever is asked for. */
    table_env_close(&env);
    open_again();
    table_env_stat(env, &before);
    ck_assert_uint_ge(before.map_bytes, after.file_bytes);
    check_many(3072);
}
END_TEST

START_TEST(a_map_that_fills_within_a_turn_loses_that_turn_and_then_grows)
{
    struct span value;

    begin();
    put_many(0, 100);
    commit();
    begin();
    put_many(100, 4000);
    ck_assert_int_eq(table_error(txn), ERR_FULL);
    /* Nothing happens in a failed transaction. */
    put(TABLE_SUM, "a", "one");
    ck_assert(!table_delete(txn, TABLE_ENT, span_of("\0\0\0\0", 4)));
    ck_assert_int_eq(table_get(txn, TABLE_ENT, span_of("\0\0\0\0", 4), &value), ERR_FULL);
    ck_assert_int_eq(table_commit(&txn), ERR_FULL);
    check_many(100);
    for (int turn = 0; turn < 4; turn++) {
        begin();
        put_many(100, 4000);
        enum err err = table_commit(&txn);
        ck_assert(err == ERR_OK || err == ERR_FULL);
    }
    check_many(4100);
}
END_TEST

struct slow_reader {
    atomic_bool reading;
    atomic_bool may_end;
    uint64_t count;
};

static void *
read_slowly(void *self)
{
    struct slow_reader *reader = self;
    struct table_txn *own;

    if (table_begin_read(env, &own) == ERR_OK) {
        reader->reading = true;
        while (!reader->may_end) {
            usleep(1000);
        }
        reader->count = table_count(own, TABLE_ENT);
        table_abort(&own);
    }
    return NULL;
}

START_TEST(a_reader_in_another_thread_keeps_its_view_and_holds_up_growth)
{
    struct slow_reader reader = { 0 };
    pthread_t thread;

    begin();
    put_many(0, 10);
    commit();
    ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    while (!reader.reading) {
        usleep(1000);
    }
    begin();
    put_many(10, 4000);
    ck_assert_int_eq(table_commit(&txn), ERR_FULL);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_BUSY);
    reader.may_end = true;
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
    put_many(10, 400);
    commit();
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(reader.count, 10);
    check_many(410);
}
END_TEST

/* --- Faults --------------------------------------------------------------- */

static unsigned sync_count;
static unsigned sync_fails_at;
static unsigned write_fails_at;
static int write_errno;
static unsigned dies_at; /* the step on the disk that is the process's last */

static bool
sync_fails(void)
{
    sync_count++;
    if (sync_fails_at > 0 && --sync_fails_at == 0) {
        errno = EIO;
        return true;
    }
    return false;
}

static bool
write_fails(void)
{
    if (write_fails_at == 0 || --write_fails_at > 0) {
        return false;
    }
    errno = write_errno;
    return true;
}

ssize_t
disk_step(enum disk_step step, size_t size)
{
    bool syncs = step == DISK_SYNC;
    bool writes = step == DISK_WRITE_AT || step == DISK_WRITE_V;
    bool counts = syncs || writes || step == DISK_RENAME || step == DISK_RENAMED;

    if (counts && dies_at > 0 && --dies_at == 0) {
        _exit(9);
    }
    return (syncs && sync_fails()) || (writes && write_fails()) ? -1 : (ssize_t)size;
}

START_TEST(every_commit_is_synced)
{
    for (int n = 0; n < 5; n++) {
        unsigned before = sync_count;
        begin();
        put(TABLE_ENT, "a", "one");
        commit();
        ck_assert_uint_eq(sync_count, before + 1);
    }
}
END_TEST

/* After a failure nobody knows what the disk holds: nothing goes on before the next opening. */
static void
check_poisoned_until_reopened(void)
{
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_IO);
    ck_assert_ptr_null(txn);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_IO);
    ck_assert_ptr_null(txn);
    ck_assert_int_eq(table_begin_write_reserved(env, &txn), ERR_IO);
    table_env_close(&env);
    open_again();
}

START_TEST(i5_a_failing_sync_or_write_poisons_the_environment)
{
    begin();
    put(TABLE_ENT, "a", "one");
    put(TABLE_ENT, "b", "kept");
    commit();
    begin();
    put(TABLE_ENT, "a", "two");
    sync_fails_at = 1;
    ck_assert_int_eq(table_commit(&txn), ERR_IO);
    check_poisoned_until_reopened();
    /* The n-th write of a commit fails: the pages, then the meta page. */
    unsigned refused = 0;
    for (unsigned nth = 1; nth <= 8; nth++) {
        write_errno = nth % 2 == 0 ? ENOSPC : EIO;
        begin();
        put(TABLE_ENT, "a", "two");
        put(TABLE_SUM, "a", "two");
        write_fails_at = nth;
        enum err err = table_commit(&txn);
        bool failed = write_fails_at == 0;
        write_fails_at = 0;
        if (failed) {
            /* Where writing the meta page fails, LMDB writes the old one back, or it stays. */
            ck_assert(err == ERR_IO || err == ERR_FULL);
            check_poisoned_until_reopened();
            refused++;
        } else {
            ck_assert_int_eq(err, ERR_OK);
        }
        ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
        ck_assert(holds(TABLE_ENT, "b", "kept"));
        ck_assert(holds(TABLE_ENT, "a", "one") || holds(TABLE_ENT, "a", "two"));
        ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_OK);
        ck_assert_int_eq(table_check(txn, TABLE_SUM), ERR_OK);
        table_abort(&txn);
    }
    ck_assert_uint_ge(refused, 2);
}
END_TEST

START_TEST(a_fault_of_the_world_is_one_of_the_disk)
{
    begin();
    put(TABLE_ENT, "a", "one");
    commit();
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_FULL);
    ck_assert_ptr_null(txn);
    test_world_fail_disk(&world, 1, ERR_IO);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_IO);
    begin();
    put(TABLE_ENT, "a", "two");
    test_world_fail_disk(&world, 1, ERR_IO);
    ck_assert_int_eq(table_commit(&txn), ERR_IO);
    ck_assert_ptr_null(txn);
    check_poisoned_until_reopened();
    begin();
    put(TABLE_ENT, "a", "two");
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(table_commit(&txn), ERR_FULL);
    check_poisoned_until_reopened();
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_ENT, "a", "one"));
}
END_TEST

/* The child says when its first turn is durable, then dies in the middle of its second. */
START_TEST(i3_a_kill_in_a_turn_leaves_the_turns_before_it)
{
    int pipe_of[2];
    int status;
    char byte;

    table_env_close(&env);
    for (int round = 0; round < 10; round++) {
        ck_assert_int_eq(pipe(pipe_of), 0);
        pid_t child = fork();
        if (child == 0) {
            open_again();
            begin();
            put(TABLE_ENT, "round", round % 2 == 0 ? "even" : "odd");
            put(TABLE_SUM, "round", round % 2 == 0 ? "even" : "odd");
            commit();
            begin();
            put_many(0, 500);
            put(TABLE_ENT, "round", "lost");
            ck_assert_int_eq(write(pipe_of[1], "x", 1), 1);
            for (;;) {
                pause();
            }
        }
        close(pipe_of[1]);
        ck_assert_int_eq(read(pipe_of[0], &byte, 1), 1);
        close(pipe_of[0]);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        open_again();
        ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
        ck_assert(holds(TABLE_ENT, "round", round % 2 == 0 ? "even" : "odd"));
        ck_assert(holds(TABLE_SUM, "round", round % 2 == 0 ? "even" : "odd"));
        ck_assert_uint_eq(table_count(txn, TABLE_ENT), 1);
        table_abort(&txn);
        begin();
        commit();
        table_env_close(&env);
    }
}
END_TEST

/* A small disk, filled by somebody else: writing stops at the reserve, erasing and reading do not. */
START_TEST(i8_a_full_disk_refuses_writing_and_lets_erasing_through)
{
    static uint8_t filling[64 << 10];
    char small[96];

    snprintf(small, sizeof small, "%s/small", directory);
    ck_assert_int_eq(mkdir(small, 0700), 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=16m,mode=0700") != 0) {
        printf("skipped: a full disk needs the right to mount (%s)\n", strerror(errno));
        fflush(stdout);
        rmdir(small);
        return;
    }
    char own[112];
    char other[112];
    snprintf(own, sizeof own, "%s/main", small);
    snprintf(other, sizeof other, "%s/other", small);
    table_env_close(&env);
    struct table_options options = options_of(own);
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    uint32_t rows = 0;
    enum err err;
    while ((err = table_begin_write(env, &txn)) == ERR_OK && rows < 3000) {
        put_many(rows, 100);
        err = table_commit(&txn);
        rows += err == ERR_OK ? 100 : 0;
    }
    table_abort(&txn);
    int file = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct statvfs fs;
    do {
        ck_assert_int_eq(statvfs(small, &fs), 0);
    } while (fs.f_bavail * fs.f_frsize > (1 << 20) && write(file, filling, sizeof filling) > 0);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_FULL);
    check_many(rows);
    ck_assert_int_eq(table_begin_write_reserved(env, &txn), ERR_OK);
    for (uint32_t n = 0; n < rows / 2; n++) {
        uint8_t key[4];
        bytes_write_u32(key, rows - 1 - n);
        ck_assert(table_delete(txn, TABLE_ENT, span_of(key, sizeof key)));
    }
    commit();
    check_many(rows - rows / 2);

    /* To the last byte: the commit fails, the turn is lost, nothing else is. */
    while (write(file, filling, sizeof filling) > 0) {
    }
    ck_assert_int_eq(table_begin_write_reserved(env, &txn), ERR_OK);
    put_many(rows, 900);
    err = table_commit(&txn);
    ck_assert(err == ERR_OK || err == ERR_FULL || err == ERR_IO);
    close(file);
    ck_assert_int_eq(unlink(other), 0);
    table_env_close(&env);
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_OK);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), err == ERR_OK ? rows - rows / 2 + 900 : rows - rows / 2);
    table_abort(&txn);
    table_env_close(&env);
    ck_assert_int_eq(umount(small), 0);
    rmdir(small);
}
END_TEST

/* --- Compacting ----------------------------------------------------------- */

static uint8_t content[8 << 20];

static size_t
read_file(const char *name)
{
    FILE *file = fopen(file_of(name), "rb");

    ck_assert_ptr_nonnull(file);
    size_t size = fread(content, 1, sizeof content, file);
    fclose(file);
    return size;
}

START_TEST(compacting_keeps_every_row_and_gives_the_room_back)
{
    struct table_stat before;
    struct table_stat after;

    for (uint32_t n = 0; n < 1500; n += 50) {
        begin();
        put_many(n, 50);
        put(TABLE_SUM, "sealed", "a summary");
        commit();
    }
    begin();
    for (uint32_t n = 400; n < 1500; n++) {
        uint8_t key[4];
        bytes_write_u32(key, n);
        ck_assert(table_delete(txn, TABLE_ENT, span_of(key, sizeof key)));
    }
    commit();
    table_env_stat(env, &before);
    ck_assert_int_eq(table_env_compact(env), ERR_OK);
    table_env_stat(env, &after);
    ck_assert_uint_lt(after.file_bytes, before.file_bytes / 2);
    ck_assert_uint_ge(after.map_bytes, before.map_bytes);
    ck_assert_uint_le(after.file_bytes, before.compact_bytes + (64 << 10));
    check_many(400);
    ck_assert_int_ne(access(file_of("data.mdb.new"), F_OK), 0);
    /* It is an environment like any other: it is written, closed and opened. */
    begin();
    put_many(400, 100);
    commit();
    ck_assert_int_eq(table_env_compact(env), ERR_OK);
    table_env_close(&env);
    open_again();
    check_many(500);
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert(holds(TABLE_SUM, "sealed", "a summary"));
}
END_TEST

/* LMDB leaves old bytes in free pages, in the gaps of pages, and behind large values, where it writes out
 * whatever a page in memory held before. */
START_TEST(w2_nothing_that_was_deleted_is_in_a_compacted_file)
{
    enum { DELETED = 64, LARGE = 64 };
    static uint8_t large[2200];
    char key[32];
    char value[64];

    /* In turns that follow each other pages in memory go from one to the next. */
    for (int n = 0; n < DELETED; n++) {
        begin();
        (void)snprintf(key, sizeof key, "%d", n);
        (void)snprintf(value, sizeof value, "ROWTHATGOES-%04d-and-some-more-of-it", n);
        put(TABLE_ENT, key, value);
        commit();
        begin();
        (void)snprintf(key, sizeof key, "large%d", n);
        table_put(txn, TABLE_ENT, span_text(key), span_of(large, sizeof large));
        commit();
    }
    begin();
    for (int n = 0; n < DELETED; n++) {
        (void)snprintf(key, sizeof key, "%d", n);
        ck_assert(table_delete(txn, TABLE_ENT, span_text(key)));
    }
    put(TABLE_ENT, "stays", "ROWTHATSTAYS");
    commit();
    ck_assert_ptr_nonnull(memmem(content, read_file("data.mdb"), "ROWTHATGOES", 11));
    ck_assert_int_eq(table_env_compact(env), ERR_OK);
    ck_assert_ptr_null(memmem(content, read_file("data.mdb"), "ROWTHATGOES", 11));
    ck_assert_ptr_nonnull(memmem(content, read_file("data.mdb"), "ROWTHATSTAYS", 12));
    /* And what is written behind it brings nothing back. */
    for (int n = 0; n < 8; n++) {
        begin();
        put(TABLE_ENT, "later", "row");
        table_put(txn, TABLE_ENT, span_text("large"), span_of(large, sizeof large));
        commit();
    }
    table_env_close(&env);
    ck_assert_ptr_null(memmem(content, read_file("data.mdb"), "ROWTHATGOES", 11));
    ck_assert_ptr_null(memmem(content, read_file("lock.mdb"), "ROWTHATGOES", 11));
    open_again();
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), LARGE + 3);
    ck_assert_int_eq(table_check(txn, TABLE_ENT), ERR_OK);
}
END_TEST

/* The child dies at its n-th write, sync or rename, for every n until it comes through. */
START_TEST(w6_a_kill_anywhere_in_compacting_leaves_the_old_file_or_the_new)
{
    int status = 0;
    unsigned deaths = 0;

    begin();
    put_many(0, 300);
    commit();
    begin();
    for (uint32_t n = 100; n < 300; n++) {
        uint8_t key[4];
        bytes_write_u32(key, n);
        ck_assert(table_delete(txn, TABLE_ENT, span_of(key, sizeof key)));
    }
    commit();
    table_env_close(&env);
    for (unsigned nth = 1; nth < 1000; nth++) {
        pid_t child = fork();
        if (child == 0) {
            open_again();
            dies_at = nth;
            enum err err = table_env_compact(env);
            dies_at = 0;
            _exit(err == ERR_OK ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        open_again();
        ck_assert_int_ne(access(file_of("data.mdb.new"), F_OK), 0);
        check_many(100);
        table_env_close(&env);
        if (WEXITSTATUS(status) != 9) {
            break;
        }
        deaths++;
    }
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_uint_ge(deaths, 6);
    open_again();
}
END_TEST

START_TEST(i4_a_fault_in_compacting_leaves_the_old_file_in_use_or_ends_the_environment)
{
    unsigned refused = 0;

    begin();
    put_many(0, 300);
    commit();
    for (uint64_t nth = 1; nth <= 2; nth++) {
        test_world_fail_disk(&world, nth, nth == 1 ? ERR_FULL : ERR_IO);
        ck_assert_int_eq(table_env_compact(env), nth == 1 ? ERR_FULL : ERR_IO);
        ck_assert_int_ne(access(file_of("data.mdb.new"), F_OK), 0);
        check_many(300);
    }
    write_errno = ENOSPC;
    for (unsigned nth = 1; nth <= 8; nth++) {
        write_fails_at = nth;
        enum err err = table_env_compact(env);
        if (write_fails_at == 0) {
            ck_assert(err == ERR_FULL || err == ERR_IO);
            ck_assert_int_ne(access(file_of("data.mdb.new"), F_OK), 0);
            refused++;
        }
        write_fails_at = 0;
        check_many(300);
        begin();
        put(TABLE_SUM, "still", "written");
        commit();
    }
    ck_assert_uint_ge(refused, 2);
    /* The copy is not durable: it is not used. The rename is not: nothing may be committed behind it. */
    sync_fails_at = 1;
    ck_assert_int_eq(table_env_compact(env), ERR_IO);
    check_many(300);
    sync_fails_at = 2;
    ck_assert_int_eq(table_env_compact(env), ERR_IO);
    ck_assert_int_eq(table_env_compact(env), ERR_IO);
    check_poisoned_until_reopened();
    check_many(300);
}
END_TEST

START_TEST(readers_are_counted_with_how_far_they_are_behind)
{
    struct table_txn *reader = NULL;
    struct table_readers readers;

    ck_assert_int_eq(table_env_readers(env, &readers), ERR_OK);
    ck_assert_uint_eq(readers.count, 0);
    ck_assert_uint_eq(readers.behind, 0);
    ck_assert_int_eq(table_begin_read(env, &reader), ERR_OK);
    ck_assert_int_eq(table_env_readers(env, &readers), ERR_OK);
    ck_assert_uint_eq(readers.count, 1);
    ck_assert_uint_eq(readers.behind, 0);
    for (unsigned n = 1; n <= 3; n++) {
        begin();
        put(TABLE_META, "name", "value");
        commit();
        ck_assert_int_eq(table_env_readers(env, &readers), ERR_OK);
        ck_assert_uint_eq(readers.count, 1);
        ck_assert_uint_eq(readers.behind, n);
    }
    table_abort(&reader);
    ck_assert_int_eq(table_env_readers(env, &readers), ERR_OK);
    ck_assert_uint_eq(readers.count + readers.cleared, 0);
    ck_assert_uint_eq(readers.behind, 0);
}
END_TEST

START_TEST(a_small_disk_keeps_an_eighth_free_and_a_large_one_64_mib)
{
    ck_assert_uint_eq(table_reserve_bytes(0), 0);
    ck_assert_uint_eq(table_reserve_bytes(UINT64_C(80) << 20), UINT64_C(10) << 20);
    ck_assert_uint_eq(table_reserve_bytes(UINT64_C(1) << 40), UINT64_C(64) << 20);
}
END_TEST

START_TEST(a_reader_holds_up_compacting)
{
    begin();
    put_many(0, 10);
    commit();
    ck_assert_int_eq(table_begin_read(env, &txn), ERR_OK);
    ck_assert_int_eq(table_env_compact(env), ERR_BUSY);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), 10);
    table_abort(&txn);
    ck_assert_int_eq(table_env_compact(env), ERR_OK);
    check_many(10);
}
END_TEST

START_TEST(compacting_waits_for_room_on_the_disk)
{
    char small[96];
    char own[112];
    char other[112];

    (void)snprintf(small, sizeof small, "%s/small", directory);
    (void)snprintf(own, sizeof own, "%s/main", small);
    (void)snprintf(other, sizeof other, "%s/other", small);
    ck_assert_int_eq(mkdir(small, 0700), 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=16m,mode=0700") != 0) {
        printf("skipped: a full disk needs the right to mount (%s)\n", strerror(errno));
        fflush(stdout);
        rmdir(small);
        return;
    }
    table_env_close(&env);
    struct table_options options = options_of(own);
    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    for (uint32_t n = 0; n < 4000; n += 100) {
        begin();
        put_many(n, 100);
        commit();
    }
    struct table_stat stat;
    table_env_stat(env, &stat);
    int file = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct statvfs fs;
    ck_assert_int_eq(statvfs(small, &fs), 0);
    ck_assert_int_eq(posix_fallocate(file, 0, (off_t)(fs.f_bavail * fs.f_frsize - (1 << 20))), 0);
    ck_assert_int_eq(table_env_compact(env), ERR_FULL);
    check_many(4000);
    close(file);
    ck_assert_int_eq(unlink(other), 0);
    ck_assert_int_eq(statvfs(small, &fs), 0);
    ck_assert_uint_gt(fs.f_bavail * fs.f_frsize, stat.compact_bytes);
    ck_assert_int_eq(table_env_compact(env), ERR_OK);
    check_many(4000);
    table_env_close(&env);
    ck_assert_int_eq(umount(small), 0);
    rmdir(small);
}
END_TEST

/* --- Walks while writing -------------------------------------------------- */

START_TEST(a_walk_goes_on_behind_the_key_it_gave_last)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    begin();
    put(TABLE_ENT, "a1", "1");
    put(TABLE_ENT, "a2", "2");
    put(TABLE_ENT, "a4", "4");
    put(TABLE_ENT, "b", "5");
    table_cursor_init(&cursor, txn, TABLE_ENT, span_text("a"));
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(key, span_text("a1")));
    ck_assert(table_delete(txn, TABLE_ENT, key));
    put(TABLE_ENT, "a0", "behind");
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(key, span_text("a2")));
    ck_assert(table_delete(txn, TABLE_ENT, span_text("a2")));
    put(TABLE_ENT, "a3", "ahead");
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(value, span_text("ahead")));
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(key, span_text("a4")));
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    ck_assert_ptr_null(key.data);
    ck_assert(table_cursor_seek(&cursor, span_text("a1"), &key, &value));
    ck_assert(span_equal(key, span_text("a3")));
    ck_assert(!table_cursor_seek(&cursor, span_text("a5"), &key, &value));
    ck_assert(!table_cursor_seek(&cursor, span_text("b"), &key, &value));
    ck_assert(table_cursor_seek(&cursor, span_text("A"), &key, &value) && span_equal(key, span_text("a0")));
    ck_assert(table_cursor_last(&cursor, &key, &value) && span_equal(key, span_text("a4")));
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    table_cursor_end(&cursor);
    commit();
}
END_TEST

/* Every row is removed as it is met, through page merges and all. */
START_TEST(a_walk_may_remove_all_that_it_meets)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint32_t met = 0;

    begin();
    put_many(0, 400);
    table_cursor_init(&cursor, txn, TABLE_ENT, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        ck_assert_ptr_nonnull(value.data);
        ck_assert_uint_eq(bytes_read_u32(key.data), met);
        ck_assert(table_delete(txn, TABLE_ENT, key));
        met++;
    }
    table_cursor_end(&cursor);
    ck_assert_uint_eq(met, 400);
    ck_assert_uint_eq(table_count(txn, TABLE_ENT), 0);
    commit();
}
END_TEST

START_TEST(a_prefix_of_all_ones_is_walked_to_the_end_of_the_table)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    const struct span ones = span_of("\xff\xff", 2);

    begin();
    table_cursor_init(&cursor, txn, TABLE_SUM, ones);
    ck_assert(!table_cursor_last(&cursor, &key, &value));
    put(TABLE_SUM, "\xfe\xff", "before");
    put(TABLE_SUM, "\xff", "before");
    ck_assert(!table_cursor_last(&cursor, &key, &value));
    put(TABLE_SUM, "\xff\xff", "first");
    put(TABLE_SUM, "\xff\xff\xff", "last");
    ck_assert(table_cursor_last(&cursor, &key, &value) && span_equal(value, span_text("last")));
    table_cursor_end(&cursor);
    table_cursor_init(&cursor, txn, TABLE_SUM, ones);
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(value, span_text("first")));
    ck_assert(table_cursor_next(&cursor, &key, &value) && span_equal(value, span_text("last")));
    ck_assert(!table_cursor_next(&cursor, &key, &value));
    table_cursor_end(&cursor);
    table_clear(txn, TABLE_SUM, ones);
    ck_assert_uint_eq(table_count(txn, TABLE_SUM), 2);
    commit();
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
    tcase_add_test(tests, i10_a_second_opening_is_refused_until_the_first_has_closed);
    tcase_add_test(tests, a_flipped_bit_of_a_stored_row_is_never_a_wrong_value);
    tcase_add_test(tests, a_flipped_bit_anywhere_behind_the_first_pages_is_never_a_wrong_value);
    tcase_add_test(tests, i1_a_row_that_a_damaged_key_hides_is_missed);
    tcase_add_test(tests, a_truncated_file_is_refused_at_every_page);
    tcase_add_test(tests, a_zeroed_page_or_two_pages_swapped_never_give_a_wrong_value);
    tcase_add_test(tests, a_row_moved_to_another_key_or_table_does_not_verify);
    tcase_add_test(tests, i15_another_key_another_set_and_a_newer_format_are_told_apart);
    tcase_add_test(tests, an_emptied_or_missing_file_is_damage_and_no_new_beginning);
    tcase_add_test(tests, o3_a_read_only_opening_reads_and_makes_nothing);
    tcase_add_test(tests, c10_files_are_for_their_owner_alone_and_closed_on_exec);
    tcase_add_test(tests, c10_symlinks_are_refused);
    tcase_add_test(tests, a_network_or_kernel_file_system_is_refused);
    tcase_add_test(tests, c1_what_people_could_read_is_in_no_file);
    tcase_add_test(tests, a_hash_of_an_id_depends_on_the_key_and_the_context);
    tcase_add_test(tests, the_map_grows_while_three_times_as_much_is_written);
    tcase_add_test(tests, a_map_that_fills_within_a_turn_loses_that_turn_and_then_grows);
    tcase_add_test(tests, every_commit_is_synced);
    tcase_add_test(tests, i5_a_failing_sync_or_write_poisons_the_environment);
    tcase_add_test(tests, a_fault_of_the_world_is_one_of_the_disk);
    tcase_add_test(tests, i3_a_kill_in_a_turn_leaves_the_turns_before_it);
    tcase_add_test(tests, i8_a_full_disk_refuses_writing_and_lets_erasing_through);
    tcase_add_test(tests, compacting_keeps_every_row_and_gives_the_room_back);
    tcase_add_test(tests, w2_nothing_that_was_deleted_is_in_a_compacted_file);
    tcase_add_test(tests, w6_a_kill_anywhere_in_compacting_leaves_the_old_file_or_the_new);
    tcase_add_test(tests, i4_a_fault_in_compacting_leaves_the_old_file_in_use_or_ends_the_environment);
    tcase_add_test(tests, readers_are_counted_with_how_far_they_are_behind);
    tcase_add_test(tests, a_small_disk_keeps_an_eighth_free_and_a_large_one_64_mib);
    tcase_add_test(tests, a_reader_holds_up_compacting);
    tcase_add_test(tests, compacting_waits_for_room_on_the_disk);
    tcase_add_test(tests, a_walk_goes_on_behind_the_key_it_gave_last);
    tcase_add_test(tests, a_walk_may_remove_all_that_it_meets);
    tcase_add_test(tests, a_prefix_of_all_ones_is_walked_to_the_end_of_the_table);
    suite_add_tcase(suite, tests);
    /* By itself, to be run under TSan, where some of the others take too long. */
    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, TEST_SECONDS_MAX);
    tcase_add_checked_fixture(threads, setup, teardown);
    tcase_add_test(threads, a_reader_in_another_thread_keeps_its_view_and_holds_up_growth);
    suite_add_tcase(suite, threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
