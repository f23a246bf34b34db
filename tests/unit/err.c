/* Each error of the base has a code and a sentence of its own, and is what comes of something that really goes wrong. */
#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/base/exit.h"
#include "store/stream.h"
#include "store/table.h"
#include "store/vault.h"
#include "sync/paper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static struct test_world world;
static const struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };
static const struct key key = { "a storage key, of thirty-two byt" };

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 8);
    strcpy(directory, "/tmp/vigil-err-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(vault_make(directory, span_text("a word"), &work, &world.world), ERR_OK);
}

static void
teardown(void)
{
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *
path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Change one byte of the lock, and have the sum at its end fit. */
static void
change_lock(size_t at, uint8_t value)
{
    struct buf lock = { 0 };
    struct hash sum;

    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    lock.data[at] = value;
    CRYPTO_HASH(&sum, "vigil.lck.sum.v1", span_of(lock.data, lock.size - HASH_BYTES));
    memcpy(lock.data + lock.size - HASH_BYTES, sum.bytes, HASH_BYTES);
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    buf_free(&lock);
}

/* --- one way to each --- */

static enum err
nothing_goes_wrong(void)
{
    struct key out;

    return vault_open(directory, span_text("a word"), &out);
}

/* The linker puts these in the place of malloc and realloc: a limit of the system would end a sanitizer, too. */
static bool refused;

void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);

void *
__wrap_malloc(size_t size)
{
    return refused ? NULL : __real_malloc(size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return refused ? NULL : __real_realloc(old, size);
}

static enum err
without_memory(void)
{
    struct key out;

    refused = true;
    enum err err = vault_open(directory, span_text("a word"), &out);
    refused = false;
    return err;
}

static enum err
on_a_disk_that_fails(void)
{
    test_world_fail_disk(&world, 1, ERR_IO);
    return reserve_make(directory, 4096, &world.world);
}

static enum err
beyond_a_limit(void)
{
    static const uint8_t file[PAPER_PARTS_MAX * PAPER_PART_BYTES + 1];
    struct paper paper = { 0 };
    enum err err = paper_split(&paper, span_of(file, sizeof file));

    paper_free(&paper);
    return err;
}

static enum err
opened_twice(void)
{
    struct table_options options = { .path = path_of("main"),
                                     .set = TABLE_SET_MAIN,
                                     .key = &key,
                                     .world = &world.world,
                                     .map_bytes = 1 << 20 };
    struct table_env *env = NULL;
    struct table_env *second = NULL;

    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    enum err err = table_env_open(&second, &options);
    table_env_close(&env);
    return err;
}

static enum err
where_nothing_is(void)
{
    struct key out;

    return vault_open(path_of("nowhere"), span_text("a word"), &out);
}

static enum err
made_twice(void)
{
    return vault_make(directory, span_text("a word"), &work, &world.world);
}

static enum err
damaged(void)
{
    struct buf lock = { 0 };
    struct key out;

    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    lock.data[lock.size / 2] ^= 1;
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    buf_free(&lock);
    return vault_open(directory, span_text("a word"), &out);
}

static enum err
with_an_empty_passphrase(void)
{
    return vault_change_passphrase(directory, span_text("a word"), span_text(""), &work, &world.world);
}

static enum err
through_a_symlink(void)
{
    char other[128];

    (void)snprintf(other, sizeof other, "%s", path_of("other"));
    ck_assert_int_eq(rename(path_of("lock"), other), 0);
    ck_assert_int_eq(symlink("other", path_of("lock")), 0);
    return nothing_goes_wrong();
}

static enum err
with_a_wrong_passphrase(void)
{
    struct key out;

    return vault_open(directory, span_text("another word"), &out);
}

static enum err
with_another_key(void)
{
    struct stream_recipient recipient;
    struct stream_header header;
    struct ident pair = { { 1 } };
    struct key_pair owner;
    struct key_pair other;
    struct key out;

    crypto_box_pair_from_secret(&owner, (const uint8_t[32]){ 8 });
    crypto_box_pair_from_secret(&other, (const uint8_t[32]){ 16 });
    stream_recipient_of_key(&recipient, owner.public_key);
    ck_assert_int_eq(stream_header_make(&header, STREAM_MAIN, &pair, &key, &recipient, 1, &world.world),
                     ERR_OK);
    return stream_open_box(&header, &other, &out);
}

static enum err
of_a_newer_program(void)
{
    struct key out;

    change_lock(8, 2); /* its version */
    return vault_open(directory, span_text("a word"), &out);
}

static enum err
with_a_part_of_another_file(void)
{
    struct paper one = { 0 };
    struct paper other = { 0 };
    struct buf text = { 0 };
    struct paper_place place = { 0 };
    struct joining_fault fault = { 0 };
    struct paper all = { 0 };

    ck_assert_int_eq(paper_split(&one, span_text("one file")), ERR_OK);
    ck_assert_int_eq(paper_split(&other, span_text("another file")), ERR_OK);
    paper_text(&one, 0, &text);
    ck_assert_int_eq(paper_add(&all, buf_span(&text), &place, &fault), ERR_OK);
    buf_clear(&text);
    paper_text(&other, 0, &text);
    enum err err = paper_add(&all, buf_span(&text), &place, &fault);
    buf_free(&text);
    paper_free(&one);
    paper_free(&other);
    paper_free(&all);
    return err;
}

static const struct {
    enum err err;
    const char *code;
    enum exit_status status;
    enum err (*reach)(void);
} ways[] = {
    { ERR_OK, "ok", STATUS_DONE, nothing_goes_wrong },
    { ERR_MEMORY, "memory", STATUS_FAILED, without_memory },
    { ERR_IO, "io", STATUS_FAILED, on_a_disk_that_fails },
    { ERR_FULL, "full", STATUS_FAILED, beyond_a_limit },
    { ERR_BUSY, "busy", STATUS_AGAIN, opened_twice },
    { ERR_ABSENT, "absent", STATUS_ABSENT, where_nothing_is },
    { ERR_EXISTS, "exists", STATUS_FAILED, made_twice },
    { ERR_CORRUPT, "corrupt", STATUS_INVALID, damaged },
    { ERR_INVALID, "invalid", STATUS_INVALID, with_an_empty_passphrase },
    { ERR_DENIED, "denied", STATUS_NEEDS, through_a_symlink },
    { ERR_PASSPHRASE, "passphrase", STATUS_NEEDS, with_a_wrong_passphrase },
    { ERR_LOCKED, "locked", STATUS_NEEDS, with_another_key },
    { ERR_NEWER, "newer", STATUS_NEEDS, of_a_newer_program },
    { ERR_CONFLICT, "conflict", STATUS_FAILED, with_a_part_of_another_file },
};

START_TEST(o1_every_error_is_reached_and_has_a_code_a_sentence_and_a_status)
{
    ck_assert_uint_eq(sizeof ways / sizeof ways[0], ERR_COUNT);
    for (size_t n = 0; n < ERR_COUNT; n++) {
        ck_assert_uint_eq((size_t)ways[n].err, n);
        teardown();
        setup();
        enum err err = ways[n].reach();
        ck_assert_msg(err == ways[n].err, "%s: %s", ways[n].code, err_code(err));
        ck_assert_str_eq(err_code(err), ways[n].code);
        ck_assert_int_eq((int)exit_status_of(err), (int)ways[n].status);
        ck_assert_uint_gt(strlen(err_text(err)), 3);
        for (size_t other = 0; other < n; other++) {
            ck_assert_str_ne(err_code(err), err_code((enum err)other));
            ck_assert_str_ne(err_text(err), err_text((enum err)other));
        }
    }
    ck_assert_str_eq(err_code(ERR_COUNT), "unknown");
}
END_TEST

SUITE_MAIN_WITH("err", setup, teardown, o1_every_error_is_reached_and_has_a_code_a_sentence_and_a_status)
