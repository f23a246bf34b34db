#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static struct test_world world;
static struct key storage_key;
static const struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };
static const char passphrase[] = "seven words of a long forgotten song";

/* What the passphrases of this test cost, in their order: the linker puts this in the place of crypto_passphrase_key. */
static struct vault_work spent[16];
static size_t spent_count;

enum err __real_crypto_passphrase_key(struct key *out, struct span words, const uint8_t salt[16],
                                      uint32_t passes, uint64_t memory_bytes);
enum err __wrap_crypto_passphrase_key(struct key *out, struct span words, const uint8_t salt[16],
                                      uint32_t passes, uint64_t memory_bytes);

enum err
__wrap_crypto_passphrase_key(struct key *out, struct span words, const uint8_t salt[16], uint32_t passes,
                             uint64_t memory_bytes)
{
    if (spent_count < sizeof spent / sizeof spent[0]) {
        spent[spent_count++] = (struct vault_work){ .passes = passes, .memory_bytes = memory_bytes };
    }
    return __real_crypto_passphrase_key(out, words, salt, passes, memory_bytes);
}

/* What the disk takes of one write, and in all before it is full: the linker puts this in the place of write. */
static size_t write_bytes_max = SIZE_MAX;
static size_t write_bytes_left = SIZE_MAX;

ssize_t __real_write(int file, const void *bytes, size_t size);
ssize_t __wrap_write(int file, const void *bytes, size_t size);

ssize_t
__wrap_write(int file, const void *bytes, size_t size)
{
    size = size < write_bytes_max ? size : write_bytes_max;
    if (write_bytes_left == SIZE_MAX) {
        return __real_write(file, bytes, size);
    }
    if (write_bytes_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    size = size < write_bytes_left ? size : write_bytes_left;
    write_bytes_left -= size;
    return __real_write(file, bytes, size);
}

static const char *
path_of(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 3);
    strcpy(directory, "/tmp/vigil-vault-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    memset(storage_key.bytes, 0x5c, KEY_BYTES);
    spent_count = 0;
}

static void
teardown(void)
{
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void
make(void)
{
    ck_assert_int_eq(vault_make(directory, span_text(passphrase), &work, &world.world), ERR_OK);
}

static enum err
open_with(const char *words)
{
    return vault_open(directory, span_text(words), &storage_key);
}

/* Every name and every byte of the directory. */
static void
digest_of_directory(struct hash *out)
{
    struct dirent **entries;
    struct buf all = { 0 };

    int count = scandir(directory, &entries, NULL, alphasort);
    ck_assert_int_ge(count, 2);
    for (int n = 0; n < count; n++) {
        struct buf file = { 0 };
        buf_put_text(&all, entries[n]->d_name);
        if (entries[n]->d_name[0] != '.') {
            ck_assert_int_eq(vault_read_plain(path_of(entries[n]->d_name), 1 << 20, &file), ERR_OK);
        }
        buf_put_u32(&all, (uint32_t)file.size);
        buf_put_span(&all, buf_span(&file));
        buf_free(&file);
        free(entries[n]);
    }
    free(entries);
    CRYPTO_HASH(out, "vigil.test.dir", buf_span(&all));
    buf_free(&all);
}

START_TEST(the_passphrase_opens_what_it_locked)
{
    struct key again;
    struct wrap wrap;

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    again = storage_key;
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert(crypto_equal(&again, &storage_key, sizeof again));
    ck_assert_int_eq(wrap_read(directory, &storage_key, &wrap), ERR_OK);
    ck_assert(!crypto_equal(&wrap.key, &storage_key, sizeof wrap.key));
    ck_assert_uint_eq(wrap.generation, 0);
    again.bytes[0] ^= 1;
    ck_assert_int_eq(wrap_read(directory, &again, &wrap), ERR_CORRUPT);
}
END_TEST

START_TEST(c7_a_wrong_passphrase_gives_one_error_no_key_and_no_change)
{
    static const char *const wrong[] = { "", "seven words of a long forgotten son",
                                         "Seven words of a long forgotten song",
                                         "seven words of a long forgotten song " };
    static const struct key none;
    struct hash before;
    struct hash after;

    make();
    digest_of_directory(&before);
    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        memset(storage_key.bytes, 0x5c, KEY_BYTES);
        ck_assert_int_eq(open_with(wrong[n]), ERR_PASSPHRASE);
        ck_assert(crypto_equal(&storage_key, &none, sizeof none));
    }
    digest_of_directory(&after);
    ck_assert(hash_equal(&before, &after));
}
END_TEST

/* Whoever measures how long it takes learns nothing: each try, wrong or right, is one Argon2id with the work of the lock. */
START_TEST(c7_a_wrong_passphrase_costs_what_the_right_one_costs)
{
    static const char *const tries[] = {
        passphrase, "", "s", "seven words of a long forgotten son",
        "another one that is a good deal longer than the one that was chosen"
    };

    make();
    spent_count = 0;
    for (size_t n = 0; n < sizeof tries / sizeof tries[0]; n++) {
        ck_assert_int_eq(open_with(tries[n]), n == 0 ? ERR_OK : ERR_PASSPHRASE);
        ck_assert_uint_eq(spent_count, n + 1);
        ck_assert_uint_eq(spent[n].passes, work.passes);
        ck_assert_uint_eq(spent[n].memory_bytes, work.memory_bytes);
    }
}
END_TEST

START_TEST(c8_what_opening_costs_stands_in_the_lock_and_can_be_raised)
{
    static const struct vault_work more = { .passes = 2, .memory_bytes = 80 << 20 };
    struct key before;

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    before = storage_key;
    ck_assert_int_eq(
        vault_change_passphrase(directory, span_text(passphrase), span_text(passphrase), &more, &world.world),
        ERR_OK);
    spent_count = 0;
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert_uint_eq(spent_count, 1);
    ck_assert_uint_eq(spent[0].passes, more.passes);
    ck_assert_uint_eq(spent[0].memory_bytes, more.memory_bytes);
    ck_assert(crypto_equal(&before, &storage_key, sizeof before));
}
END_TEST

START_TEST(a_vault_is_made_once)
{
    struct hash before;
    struct hash after;

    make();
    digest_of_directory(&before);
    ck_assert_int_eq(vault_make(directory, span_text("another"), &work, &world.world), ERR_EXISTS);
    digest_of_directory(&after);
    ck_assert(hash_equal(&before, &after));
}
END_TEST

START_TEST(no_vault_is_made_with_too_little)
{
    struct vault_work weak = { .passes = 1, .memory_bytes = (64 << 20) - 1 };
    struct vault_work idle = { .passes = 0, .memory_bytes = 64 << 20 };

    ck_assert_int_eq(vault_make(directory, span_text(""), &work, &world.world), ERR_INVALID);
    ck_assert_int_eq(vault_make(directory, span_text("x"), &weak, &world.world), ERR_INVALID);
    ck_assert_int_eq(vault_make(directory, span_text("x"), &idle, &world.world), ERR_INVALID);
    ck_assert_int_eq(open_with("x"), ERR_ABSENT);
}
END_TEST

/* A damaged lock must not send anybody looking for another passphrase. */
START_TEST(every_flipped_bit_of_a_lock_is_damage_and_no_wrong_passphrase)
{
    struct buf lock = { 0 };

    make();
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_OK);
    for (size_t bit = 0; bit < 8 * lock.size; bit++) {
        lock.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_CORRUPT);
        lock.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t size = 0; size < lock.size; size++) {
        ck_assert_int_eq(vault_lock_check(span_of(lock.data, size)), ERR_CORRUPT);
    }
    lock.data[20] ^= 1;
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_CORRUPT);
    buf_free(&lock);
}
END_TEST

/* Write the hash that ends a lock anew, over what the test has changed. */
static void
seal_lock(struct buf *lock)
{
    struct hash sum;

    lock->size -= HASH_BYTES;
    CRYPTO_HASH(&sum, "vigil.lck.sum.v1", buf_span(lock));
    buf_put_span(lock, hash_span(&sum));
}

START_TEST(i15_a_lock_of_a_newer_program_is_told_from_a_damaged_one)
{
    enum { VERSION_AT = 8, COUNT_AT = 9, TYPE_AT = 10 };
    struct buf lock = { 0 };

    make();
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    lock.data[VERSION_AT] = 2;
    seal_lock(&lock);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_NEWER);
    lock.data[VERSION_AT] = 0;
    seal_lock(&lock);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_CORRUPT);
    lock.data[VERSION_AT] = 1;
    lock.data[TYPE_AT] = 2;
    seal_lock(&lock);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_NEWER);
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_NEWER);
    lock.data[COUNT_AT] = 2;
    seal_lock(&lock);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_CORRUPT);
    buf_free(&lock);
}
END_TEST

START_TEST(a_second_way_to_open_stands_beside_the_passphrase)
{
    enum { COUNT_AT = 9 };
    struct buf lock = { 0 };

    make();
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    lock.data[COUNT_AT] = 2;
    lock.size -= HASH_BYTES;
    buf_put(&lock, "\x09\x00\x05later", 8);
    buf_extend(&lock, HASH_BYTES);
    seal_lock(&lock);
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert_int_eq(open_with("another"), ERR_PASSPHRASE);
    buf_free(&lock);
}
END_TEST

static enum err
change(const char *old, const char *fresh)
{
    return vault_change_passphrase(directory, span_text(old), span_text(fresh), &work, &world.world);
}

START_TEST(a_changed_passphrase_opens_the_same_key_and_the_old_one_nothing)
{
    struct key before;
    struct wrap wrap;

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    before = storage_key;
    ck_assert_int_eq(change(passphrase, "a new one"), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_PASSPHRASE);
    ck_assert_int_eq(open_with("a new one"), ERR_OK);
    ck_assert(crypto_equal(&before, &storage_key, sizeof before));
    ck_assert_int_eq(wrap_read(directory, &storage_key, &wrap), ERR_OK);
    ck_assert_int_eq(change("a new one", passphrase), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert_int_eq(open_with("a new one"), ERR_PASSPHRASE);
}
END_TEST

START_TEST(a_passphrase_that_cannot_be_changed_changes_nothing)
{
    static const struct vault_work little = { .passes = 0, .memory_bytes = 64 << 20 };
    static const struct vault_work small = { .passes = 1, .memory_bytes = (64 << 20) - 1 };
    struct hash before;
    struct hash after;

    ck_assert_int_eq(change(passphrase, "new"), ERR_ABSENT);
    make();
    digest_of_directory(&before);
    ck_assert_int_eq(change("wrong", "new"), ERR_PASSPHRASE);
    ck_assert_int_eq(change(passphrase, ""), ERR_INVALID);
    ck_assert_int_eq(
        vault_change_passphrase(directory, span_text(passphrase), span_text("new"), &little, &world.world),
        ERR_INVALID);
    ck_assert_int_eq(
        vault_change_passphrase(directory, span_text(passphrase), span_text("new"), &small, &world.world),
        ERR_INVALID);
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(change(passphrase, "new"), ERR_FULL);
    digest_of_directory(&after);
    ck_assert(hash_equal(&before, &after));
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
}
END_TEST

/* A lock is never half old and half new: what a crash leaves beside it is written over. */
START_TEST(a_changed_lock_replaces_the_old_one_whole)
{
    struct buf lock = { 0 };

    make();
    ck_assert_int_eq(vault_write_plain(path_of(".lock.new"), span_text("half")), ERR_OK);
    ck_assert_int_eq(change(passphrase, "new"), ERR_OK);
    ck_assert_int_eq(access(path_of(".lock.new"), F_OK), -1);
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    ck_assert_int_eq(vault_lock_check(buf_span(&lock)), ERR_OK);
    lock.data[lock.size - 1] ^= 1;
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    ck_assert_int_eq(change("new", "newer"), ERR_CORRUPT);
    buf_free(&lock);
}
END_TEST

START_TEST(other_ways_to_open_survive_a_change_of_the_passphrase)
{
    enum { COUNT_AT = 9, METHOD_AT = 10 };
    struct buf lock = { 0 };
    struct buf second = { 0 };

    /* A lock with two passphrases and a way that this program does not know. */
    make();
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    ck_assert_int_eq(change(passphrase, "second"), ERR_OK);
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &second), ERR_OK);
    size_t method_bytes = second.size - HASH_BYTES - METHOD_AT;
    lock.data[COUNT_AT] = 3;
    lock.size -= HASH_BYTES;
    buf_put(&lock, "\x09\x00\x05later", 8);
    buf_put(&lock, second.data + METHOD_AT, method_bytes);
    buf_extend(&lock, HASH_BYTES);
    seal_lock(&lock);
    ck_assert_int_eq(vault_write_plain(path_of("lock"), buf_span(&lock)), ERR_OK);
    ck_assert_int_eq(change(passphrase, "third"), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_PASSPHRASE);
    ck_assert_int_eq(open_with("second"), ERR_OK);
    ck_assert_int_eq(open_with("third"), ERR_OK);
    ck_assert_int_eq(vault_read_plain(path_of("lock"), 4096, &lock), ERR_OK);
    ck_assert_uint_eq(lock.data[COUNT_AT], 3);
    ck_assert_ptr_nonnull(memmem(lock.data, lock.size, "\x09\x00\x05later", 8));
    buf_free(&lock);
    buf_free(&second);
}
END_TEST

START_TEST(a_sealed_file_comes_back_under_its_key_and_name_only)
{
    struct key other = storage_key;
    struct buf content = { 0 };

    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_ABSENT);
    ck_assert_int_eq(
        vault_write_file(directory, "device", &storage_key, span_text("secret keys"), &world.world), ERR_OK);
    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_OK);
    ck_assert(span_equal(buf_span(&content), span_text("secret keys")));
    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_of(NULL, 0), &world.world),
                     ERR_OK);
    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_OK);
    ck_assert_uint_eq(content.size, 0);
    other.bytes[31] ^= 0x80;
    ck_assert_int_eq(vault_read_file(directory, "device", &other, &content), ERR_CORRUPT);
    ck_assert_uint_eq(content.size, 0);
    char from[512];
    strcpy(from, path_of("device"));
    ck_assert_int_eq(rename(from, path_of("anchor")), 0);
    ck_assert_int_eq(vault_read_file(directory, "anchor", &storage_key, &content), ERR_CORRUPT);
    buf_wipe(&content);
}
END_TEST

START_TEST(every_flipped_bit_and_every_cut_of_a_sealed_file_is_refused)
{
    enum { VERSION_AT = 8 };
    struct buf file = { 0 };
    struct buf content = { 0 };

    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("keys"), &world.world),
                     ERR_OK);
    ck_assert_int_eq(vault_read_plain(path_of("device"), 4096, &file), ERR_OK);
    ck_assert_ptr_null(memmem(file.data, file.size, "keys", 4));
    for (size_t bit = 0; bit < 8 * file.size; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_int_eq(vault_write_plain(path_of("device"), buf_span(&file)), ERR_OK);
        enum err err = vault_read_file(directory, "device", &storage_key, &content);
        bool newer = bit / 8 == VERSION_AT && file.data[VERSION_AT] > 1;
        ck_assert_int_eq(err, newer ? ERR_NEWER : ERR_CORRUPT);
        ck_assert_uint_eq(content.size, 0);
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t size = 0; size < file.size; size++) {
        ck_assert_int_eq(vault_write_plain(path_of("device"), span_of(file.data, size)), ERR_OK);
        ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_CORRUPT);
    }
    buf_wipe(&content);
    buf_free(&file);
}
END_TEST

START_TEST(c10_files_are_for_their_owner_alone_whatever_the_umask)
{
    static const char *const names[] = { "lock", "wrap", "device", "plain" };
    static const mode_t masks[] = { 0, 0077, 0777 };
    struct stat stat_of;

    for (size_t mask = 0; mask < sizeof masks / sizeof masks[0]; mask++) {
        umask(masks[mask]);
        make();
        ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("x"), &world.world),
                         ERR_OK);
        ck_assert_int_eq(vault_write_plain(path_of("plain"), span_text("x")), ERR_OK);
        umask(022);
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            ck_assert_int_eq(lstat(path_of(names[n]), &stat_of), 0);
            ck_assert_uint_eq(stat_of.st_mode & 07777, 0600);
            ck_assert_int_eq(unlink(path_of(names[n])), 0);
        }
    }
}
END_TEST

START_TEST(c10_a_symlink_at_the_target_is_refused_and_followed_by_nobody)
{
    struct buf content = { 0 };
    struct stat stat_of;
    char target[512];

    strcpy(target, path_of("target"));
    ck_assert_int_eq(vault_write_plain(target, span_text("untouched")), ERR_OK);
    ck_assert_int_eq(symlink(target, path_of("lock")), 0);
    ck_assert_int_eq(symlink(target, path_of("device")), 0);
    ck_assert_int_eq(symlink("nowhere", path_of("plain")), 0);
    ck_assert_int_eq(vault_make(directory, span_text("x"), &work, &world.world), ERR_DENIED);
    ck_assert_int_eq(open_with("x"), ERR_DENIED);
    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("x"), &world.world),
                     ERR_DENIED);
    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_DENIED);
    ck_assert_int_eq(vault_write_plain(path_of("plain"), span_text("x")), ERR_DENIED);
    ck_assert_int_eq(lstat(path_of("nowhere"), &stat_of), -1);
    ck_assert_int_eq(vault_read_plain(target, 64, &content), ERR_OK);
    ck_assert(span_equal(buf_span(&content), span_text("untouched")));
    buf_free(&content);
}
END_TEST

START_TEST(i4_a_failing_disk_leaves_the_old_file)
{
    struct buf content = { 0 };

    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("old"), &world.world),
                     ERR_OK);
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("new"), &world.world),
                     ERR_FULL);
    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_OK);
    ck_assert(span_equal(buf_span(&content), span_text("old")));
    for (uint64_t nth = 1; nth <= 2; nth++) {
        test_world_fail_disk(&world, nth, ERR_IO);
        ck_assert_int_eq(vault_make(directory, span_text(passphrase), &work, &world.world), ERR_IO);
        ck_assert_int_eq(open_with(passphrase), ERR_ABSENT);
    }
    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    buf_wipe(&content);
}
END_TEST

/* What a crash left of an earlier write is no hindrance to the next one. */
START_TEST(a_leftover_beside_the_file_is_written_over)
{
    struct buf content = { 0 };

    ck_assert_int_eq(symlink("/dev/full", path_of(".device.new")), 0);
    ck_assert_int_eq(vault_write_plain(path_of(".anchor.new"), span_text("half")), ERR_OK);
    ck_assert_int_eq(vault_write_file(directory, "device", &storage_key, span_text("x"), &world.world),
                     ERR_OK);
    ck_assert_int_eq(vault_read_file(directory, "device", &storage_key, &content), ERR_OK);
    ck_assert_int_eq(access(path_of(".device.new"), F_OK), -1);
    ck_assert_int_eq(vault_write_file(directory, "anchor", &storage_key, span_text("x"), &world.world),
                     ERR_OK);
    ck_assert_int_eq(access(path_of(".anchor.new"), F_OK), -1);
    buf_wipe(&content);
}
END_TEST

START_TEST(a_plain_file_is_read_up_to_a_limit_and_nothing_but_files_are)
{
    struct buf content = { 0 };

    ck_assert_int_eq(vault_write_plain(path_of("plain"), span_text("12345")), ERR_OK);
    ck_assert_int_eq(vault_read_plain(path_of("plain"), 5, &content), ERR_OK);
    ck_assert(span_equal(buf_span(&content), span_text("12345")));
    ck_assert_int_eq(vault_read_plain(path_of("plain"), 4, &content), ERR_CORRUPT);
    ck_assert_uint_eq(content.size, 0);
    ck_assert_int_eq(vault_read_plain(path_of("none"), 4, &content), ERR_ABSENT);
    ck_assert_int_eq(mkfifo(path_of("pipe"), 0600), 0);
    ck_assert_int_eq(vault_read_plain(path_of("pipe"), 4, &content), ERR_DENIED);
    ck_assert_int_eq(vault_write_plain(path_of("pipe"), span_text("x")), ERR_DENIED);
    buf_free(&content);
}
END_TEST

static void
fill_anchor(struct anchor *anchor, struct anchor_log *logs, size_t count)
{
    memset(anchor, 0, sizeof *anchor);
    memset(anchor->device_id.bytes, 1, HASH_BYTES);
    memset(anchor->incarnation, 2, sizeof anchor->incarnation);
    memset(anchor->database_id.bytes, 3, IDENT_BYTES);
    for (size_t n = 0; n < count; n++) {
        memset(logs[n].log_id.bytes, (int)(16 + n), HASH_BYTES);
        logs[n].last_seq = UINT64_MAX - n;
    }
    anchor->logs = logs;
    anchor->log_count = count;
}

START_TEST(an_anchor_comes_back_whole)
{
    struct anchor_log logs[3];
    struct anchor anchor;
    struct anchor got;

    ck_assert_int_eq(anchor_read(directory, &storage_key, &got), ERR_ABSENT);
    for (size_t count = 0; count <= 3; count++) {
        fill_anchor(&anchor, logs, count);
        ck_assert_int_eq(anchor_write(directory, &storage_key, &anchor, &world.world), ERR_OK);
        ck_assert_int_eq(anchor_read(directory, &storage_key, &got), ERR_OK);
        ck_assert(hash_equal(&got.device_id, &anchor.device_id));
        ck_assert(ident_equal(&got.database_id, &anchor.database_id));
        ck_assert_mem_eq(got.incarnation, anchor.incarnation, sizeof got.incarnation);
        ck_assert_uint_eq(got.log_count, count);
        for (size_t n = 0; n < count; n++) {
            ck_assert(hash_equal(&got.logs[n].log_id, &logs[n].log_id));
            ck_assert_uint_eq(got.logs[n].last_seq, logs[n].last_seq);
        }
        anchor_free(&got);
        ck_assert_ptr_null(got.logs);
    }
}
END_TEST

/* A disk may take less of a write than it was given, and say so. */
START_TEST(i4_an_anchor_of_which_the_disk_took_a_part_is_never_taken_for_whole)
{
    struct anchor_log logs[3];
    struct anchor anchor;
    struct anchor got;

    fill_anchor(&anchor, logs, 2);
    for (size_t bytes = 1; bytes <= 64; bytes *= 4) {
        /* So many at a time: the rest is written as well. */
        write_bytes_max = bytes;
        enum err err = anchor_write(directory, &storage_key, &anchor, &world.world);
        write_bytes_max = SIZE_MAX;
        ck_assert_int_eq(err, ERR_OK);
        ck_assert_int_eq(anchor_read(directory, &storage_key, &got), ERR_OK);
        ck_assert_uint_eq(got.log_count, 2);
        anchor_free(&got);
    }
    /* Part of it, and then the disk is full: the one before stays as it was, and nothing lies beside it. */
    fill_anchor(&anchor, logs, 3);
    for (size_t bytes = 0; bytes < 160; bytes += 20) {
        write_bytes_max = 20;
        write_bytes_left = bytes;
        enum err err = anchor_write(directory, &storage_key, &anchor, &world.world);
        write_bytes_max = SIZE_MAX;
        write_bytes_left = SIZE_MAX;
        ck_assert_int_eq(err, ERR_FULL);
        ck_assert_int_eq(anchor_read(directory, &storage_key, &got), ERR_OK);
        ck_assert_uint_eq(got.log_count, 2);
        anchor_free(&got);
        ck_assert_int_eq(access(path_of(".anchor.new"), F_OK), -1);
    }
}
END_TEST

/* The content of the anchor file, opened. */
static void
anchor_content(struct buf *content)
{
    struct anchor_log logs[2];
    struct anchor anchor;

    fill_anchor(&anchor, logs, 2);
    ck_assert_int_eq(anchor_write(directory, &storage_key, &anchor, &world.world), ERR_OK);
    ck_assert_int_eq(vault_read_file(directory, "anchor", &storage_key, content), ERR_OK);
}

START_TEST(an_anchor_out_of_shape_is_refused)
{
    enum { COUNT_AT = 57, LOGS_AT = 61, LOG_BYTES = 40 };
    struct buf content = { 0 };
    struct anchor got;

    anchor_content(&content);
    ck_assert_uint_eq(content.size, LOGS_AT + 2 * LOG_BYTES);
    for (size_t size = 0; size < content.size; size++) {
        ck_assert_int_eq(anchor_decode(span_of(content.data, size), &got), ERR_CORRUPT);
        ck_assert_ptr_null(got.logs);
    }
    bytes_write_u32(content.data + COUNT_AT, UINT32_MAX);
    ck_assert_int_eq(anchor_decode(buf_span(&content), &got), ERR_CORRUPT);
    bytes_write_u32(content.data + COUNT_AT, 2);
    memcpy(content.data + LOGS_AT, content.data + LOGS_AT + LOG_BYTES, LOG_BYTES);
    ck_assert_int_eq(anchor_decode(buf_span(&content), &got), ERR_CORRUPT);
    ck_assert_ptr_null(got.logs);
    content.data[0] = 2;
    ck_assert_int_eq(anchor_decode(buf_span(&content), &got), ERR_NEWER);
    buf_wipe(&content);
}
END_TEST

START_TEST(c1_no_secret_lies_open_in_any_file)
{
    struct buf all = { 0 };
    struct buf file = { 0 };
    struct wrap wrap;

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &wrap), ERR_OK);
    ck_assert_int_eq(
        vault_write_file(directory, "device", &storage_key, span_text("marker of device"), &world.world),
        ERR_OK);
    static const char *const names[] = { "lock", "wrap", "device" };
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(vault_read_plain(path_of(names[n]), 1 << 16, &file), ERR_OK);
        buf_put_span(&all, buf_span(&file));
    }
    ck_assert_ptr_null(memmem(all.data, all.size, storage_key.bytes, 8));
    ck_assert_ptr_null(memmem(all.data, all.size, wrap.key.bytes, 8));
    ck_assert_ptr_null(memmem(all.data, all.size, "marker", 6));
    ck_assert_ptr_null(memmem(all.data, all.size, passphrase, 8));
    buf_free(&all);
    buf_free(&file);
}
END_TEST

/* --- The wrapping key ----------------------------------------------------- */

START_TEST(a_wrapping_key_is_replaced_whole_with_its_generation)
{
    struct wrap wrap = { .key = { "another wrapping key, of 32 byte" }, .generation = 7 };
    struct wrap found;
    struct wrap first;

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &first), ERR_OK);
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(wrap_write(directory, &storage_key, &wrap, &world.world), ERR_FULL);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &found), ERR_OK);
    ck_assert(crypto_equal(&found.key, &first.key, sizeof found.key));
    ck_assert_int_eq(wrap_write(directory, &storage_key, &wrap, &world.world), ERR_OK);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &found), ERR_OK);
    ck_assert(crypto_equal(&found.key, &wrap.key, sizeof found.key));
    ck_assert_uint_eq(found.generation, 7);
}
END_TEST

START_TEST(w2_the_bytes_of_a_replaced_wrapping_key_are_overwritten)
{
    struct wrap wrap = { .key = { "another wrapping key, of 32 byte" }, .generation = 1 };
    uint8_t bytes[512];

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    int old = open(path_of("wrap"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(old, 0);
    ssize_t size = pread(old, bytes, sizeof bytes, 0);
    ck_assert_int_gt(size, 64);
    ck_assert_int_eq(wrap_write(directory, &storage_key, &wrap, &world.world), ERR_OK);
    ck_assert_int_ge(pread(old, bytes, sizeof bytes, 0), size);
    for (ssize_t n = 0; n < size; n++) {
        ck_assert_uint_eq(bytes[n], 0);
    }
    close(old);
}
END_TEST

START_TEST(a_wrapping_key_of_another_shape_is_refused)
{
    struct wrap found;
    uint8_t content[1 + 4 + KEY_BYTES + 1] = { 1 };

    make();
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
    for (size_t size = 0; size <= sizeof content; size++) {
        ck_assert_int_eq(
            vault_write_file(directory, "wrap", &storage_key, span_of(content, size), &world.world), ERR_OK);
        ck_assert_int_eq(wrap_read(directory, &storage_key, &found),
                         size == 1 + 4 + KEY_BYTES ? ERR_OK : ERR_CORRUPT);
    }
    content[0] = 2;
    ck_assert_int_eq(vault_write_file(directory, "wrap", &storage_key, span_of(content, 37), &world.world),
                     ERR_OK);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &found), ERR_NEWER);
    ck_assert_int_eq(unlink(path_of("wrap")), 0);
    ck_assert_int_eq(wrap_read(directory, &storage_key, &found), ERR_ABSENT);
}
END_TEST

static void
make_folder(const char *name)
{
    char file[64];

    ck_assert_int_eq(mkdir(path_of(name), 0700), 0);
    (void)snprintf(file, sizeof file, "%s/data.mdb", name);
    ck_assert_int_eq(vault_write_plain(path_of(file), span_text("rows")), ERR_OK);
}

START_TEST(folders_of_other_generations_are_cleared_and_nothing_else_is)
{
    static const char *const names[] = { "keys", "keys-1", "keys-2", "keys-12", "keys-", "keys-2x", "main" };
    static const bool stays[] = { false, false, true, false, true, true, true };
    char name[WRAP_FOLDER_BYTES];

    wrap_folder(0, name);
    ck_assert_str_eq(name, "keys");
    wrap_folder(UINT32_MAX, name);
    ck_assert_str_eq(name, "keys-4294967295");
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        make_folder(names[n]);
    }
    ck_assert_int_eq(wrap_clear(directory, 2), ERR_OK);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        ck_assert_int_eq(access(path_of(names[n]), F_OK) == 0, stays[n]);
    }
    ck_assert_int_eq(wrap_clear(directory, 2), ERR_OK);
    ck_assert_int_eq(wrap_clear(directory, 0), ERR_OK);
    ck_assert_int_ne(access(path_of("keys-2"), F_OK), 0);
}
END_TEST

START_TEST(w5_a_reserve_takes_room_and_gives_it_back)
{
    struct stat stat_of;

    ck_assert(!reserve_release(directory));
    ck_assert_int_eq(reserve_make(directory, 1 << 20, &world.world), ERR_OK);
    ck_assert_int_eq(stat(path_of("reserve"), &stat_of), 0);
    ck_assert_int_ge((int)stat_of.st_blocks * 512, 1 << 20);
    ck_assert_int_eq(stat_of.st_mode & 07777, 0600);
    ck_assert_int_eq(reserve_make(directory, 1 << 20, &world.world), ERR_OK);
    /* One that only seems to take room is made anew. */
    ck_assert_int_eq(truncate(path_of("reserve"), 0), 0);
    ck_assert_int_eq(truncate(path_of("reserve"), 1 << 20), 0);
    ck_assert_int_eq(reserve_make(directory, 1 << 20, &world.world), ERR_OK);
    ck_assert_int_eq(stat(path_of("reserve"), &stat_of), 0);
    ck_assert_int_ge((int)stat_of.st_blocks * 512, 1 << 20);
    ck_assert(reserve_release(directory));
    ck_assert_int_ne(access(path_of("reserve"), F_OK), 0);
    test_world_fail_disk(&world, 1, ERR_FULL);
    ck_assert_int_eq(reserve_make(directory, 1 << 20, &world.world), ERR_FULL);
    ck_assert_int_ne(access(path_of("reserve"), F_OK), 0);
}
END_TEST

START_TEST(c8_calibration_stays_within_the_bounds_of_a_lock)
{
    struct vault_work found = { 0 };

    vault_calibrate(&found);
    ck_assert_uint_ge(found.passes, 1);
    ck_assert_uint_ge(found.memory_bytes, 64 << 20);
    ck_assert_uint_le(found.memory_bytes, UINT64_C(4) << 30);
    ck_assert_int_eq(vault_make(directory, span_text(passphrase), &found, &world.world), ERR_OK);
    ck_assert_int_eq(open_with(passphrase), ERR_OK);
}
END_TEST

SUITE_MAIN_WITH(
    "vault", setup, teardown, the_passphrase_opens_what_it_locked,
    c7_a_wrong_passphrase_gives_one_error_no_key_and_no_change,
    c7_a_wrong_passphrase_costs_what_the_right_one_costs,
    c8_what_opening_costs_stands_in_the_lock_and_can_be_raised, a_vault_is_made_once,
    no_vault_is_made_with_too_little, every_flipped_bit_of_a_lock_is_damage_and_no_wrong_passphrase,
    i15_a_lock_of_a_newer_program_is_told_from_a_damaged_one,
    a_second_way_to_open_stands_beside_the_passphrase,
    a_changed_passphrase_opens_the_same_key_and_the_old_one_nothing,
    a_passphrase_that_cannot_be_changed_changes_nothing, a_changed_lock_replaces_the_old_one_whole,
    other_ways_to_open_survive_a_change_of_the_passphrase,
    a_sealed_file_comes_back_under_its_key_and_name_only,
    every_flipped_bit_and_every_cut_of_a_sealed_file_is_refused,
    c10_files_are_for_their_owner_alone_whatever_the_umask,
    c10_a_symlink_at_the_target_is_refused_and_followed_by_nobody, i4_a_failing_disk_leaves_the_old_file,
    a_leftover_beside_the_file_is_written_over, a_plain_file_is_read_up_to_a_limit_and_nothing_but_files_are,
    an_anchor_comes_back_whole, i4_an_anchor_of_which_the_disk_took_a_part_is_never_taken_for_whole,
    an_anchor_out_of_shape_is_refused, a_wrapping_key_is_replaced_whole_with_its_generation,
    w2_the_bytes_of_a_replaced_wrapping_key_are_overwritten, a_wrapping_key_of_another_shape_is_refused,
    folders_of_other_generations_are_cleared_and_nothing_else_is, w5_a_reserve_takes_room_and_gives_it_back,
    c1_no_secret_lies_open_in_any_file, c8_calibration_stays_within_the_bounds_of_a_lock)
