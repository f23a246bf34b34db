#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/blob.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than one page, and a last chunk that is not full. */
enum { CONTENT_BYTES = 300 * BLOB_CHUNK_BYTES + 77, CONTENT_CHUNKS = 301 };

static char directory[64];
static struct test_world world;
static struct blobs *blobs;
static uint8_t *content;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 7);
    strcpy(directory, "/tmp/vigil-blob-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(blobs_open(&blobs, directory, &world.world), ERR_OK);
    content = calloc(1, CONTENT_BYTES + BLOB_CHUNK_BYTES); /* what fills the last chunk is zero */
    ck_assert_ptr_nonnull(content);
    for (size_t n = 0; n < CONTENT_BYTES; n++) {
        content[n] = (uint8_t)(n * 31 + n / 8192);
    }
}

static void
teardown(void)
{
    char command[96];

    free(content);
    blobs_close(&blobs);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *
path_of(const struct hash *address, const char *suffix)
{
    static char path[256];
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(address));
    (void)snprintf(path, sizeof path, "%s/blobs/%s%s", directory, hex, suffix);
    return path;
}

static void
make(size_t size, struct blob_made *made)
{
    struct blob_writer *writer;

    ck_assert_int_eq(blob_writer_open(&writer, blobs, size), ERR_OK);
    /* In uneven pieces: what comes over a socket keeps to no boundary. */
    for (size_t at = 0; at < size;) {
        size_t part = size - at < 5000 ? size - at : 5000;
        ck_assert_int_eq(blob_write(writer, span_of(content + at, part)), ERR_OK);
        at += part;
    }
    ck_assert_int_eq(blob_writer_end(writer, made), ERR_OK);
    ck_assert_int_eq(blob_writer_keep(writer), ERR_OK);
    blob_writer_close(&writer);
    ck_assert_ptr_null(writer);
}

static void
flip(const char *path, off_t offset)
{
    uint8_t byte;

    int file = open(path, O_RDWR);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(pread(file, &byte, 1, offset), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(file, &byte, 1, offset), 1);
    close(file);
}

/* Read all of it; the error that ended it, ERR_OK if all of it came and was what it should be. */
static enum err
read_all(const struct hash *address, const struct blob_key *key, uint64_t size, uint64_t *came_out)
{
    uint8_t out[BLOB_CHUNK_BYTES];
    struct blob_reader reader;
    struct blob_file *file = NULL;
    size_t part = 1;

    *came_out = 0;
    enum err err = blob_open(&file, blobs, address);
    if (err != ERR_OK) {
        return err;
    }
    err = blob_reader_init(&reader, file, key, size);
    while (err == ERR_OK && part > 0) {
        err = blob_reader_next(&reader, out, &part);
        if (err == ERR_OK) {
            ck_assert_mem_eq(out, content + *came_out, part);
            *came_out += part;
        }
    }
    blob_reader_wipe(&reader);
    blob_close(&file);
    return err;
}

START_TEST(a_content_of_any_size_comes_back_as_it_was)
{
    static const size_t sizes[] = {
        1, BLOB_CHUNK_BYTES - 1, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1, 256 * BLOB_CHUNK_BYTES, CONTENT_BYTES
    };
    uint64_t came;

    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        struct blob_made made;
        struct stat stat_of;

        make(sizes[n], &made);
        ck_assert_uint_eq(made.chunk_count, blob_chunk_count(sizes[n]));
        ck_assert_int_eq(read_all(&made.address, &made.key, sizes[n], &came), ERR_OK);
        ck_assert_uint_eq(came, sizes[n]);
        ck_assert_int_eq(stat(path_of(&made.address, ""), &stat_of), 0);
        ck_assert_uint_eq((uint64_t)stat_of.st_size, blob_file_bytes(made.chunk_count));
        ck_assert_uint_eq(stat_of.st_mode & 07777, 0600);
    }
}
END_TEST

/* What `printf abc | sha256sum` prints. */
START_TEST(the_hash_of_the_content_is_the_one_that_people_know)
{
    static const char known[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char hex[2 * HASH_BYTES + 1];
    struct blob_made made;

    memcpy(content, "abc", 3);
    make(3, &made);
    bytes_hex(hex, hash_span(&made.key.content_hash));
    ck_assert_str_eq(hex, known);
}
END_TEST

START_TEST(the_same_content_twice_is_two_blobs_that_have_nothing_in_common)
{
    struct blob_made first;
    struct blob_made second;

    make(CONTENT_BYTES, &first);
    make(CONTENT_BYTES, &second);
    ck_assert(!hash_equal(&first.address, &second.address));
    ck_assert(!crypto_equal(first.key.key.bytes, second.key.key.bytes, KEY_BYTES));
    ck_assert(hash_equal(&first.key.content_hash, &second.key.content_hash));
}
END_TEST

START_TEST(no_size_but_the_one_that_was_said_is_taken)
{
    struct blob_writer *writer = NULL;
    struct blob_made made;

    ck_assert_int_eq(blob_writer_open(&writer, blobs, 0), ERR_INVALID);
    ck_assert_int_eq(blob_writer_open(&writer, blobs, BLOB_BYTES_MAX + 1), ERR_INVALID);
    ck_assert_ptr_null(writer);
    ck_assert_int_eq(blob_writer_open(&writer, blobs, 10), ERR_OK);
    ck_assert_int_eq(blob_write(writer, span_of(content, 9)), ERR_OK);
    ck_assert_int_eq(blob_writer_end(writer, &made), ERR_INVALID);
    blob_writer_close(&writer);
    ck_assert_int_eq(blob_writer_open(&writer, blobs, 10), ERR_OK);
    ck_assert_int_eq(blob_write(writer, span_of(content, 11)), ERR_INVALID);
    ck_assert_int_eq(blob_write(writer, span_of(content, 1)), ERR_INVALID);
    blob_writer_close(&writer);
}
END_TEST

/* --- what does not match --- */

START_TEST(every_place_of_a_chunk_is_bound)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    uint8_t out[BLOB_CHUNK_BYTES];
    struct key key = { { 1 } };
    struct key other = { { 2 } };

    blob_seal_chunk(sealed, &key, 5, 3, span_of(content, 100));
    ck_assert(blob_open_chunk(out, &key, 5, 3, sealed));
    ck_assert_mem_eq(out, content, 100);
    ck_assert(!blob_open_chunk(out, &key, 5, 2, sealed));
    ck_assert(!blob_open_chunk(out, &key, 4, 3, sealed));
    ck_assert(!blob_open_chunk(out, &other, 5, 3, sealed));
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit += 997) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        EXPECT(!blob_open_chunk(out, &key, 5, 3, sealed));
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}
END_TEST

static uint32_t damaged_chunks[CONTENT_CHUNKS];
static uint32_t damaged_count;

static void
note_damage(void *self, uint32_t index)
{
    (void)self;
    damaged_chunks[damaged_count++] = index;
}

START_TEST(damage_is_named_by_its_chunk_and_the_rest_is_still_good)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct blob_file *file;
    struct blob_made made;
    uint64_t chunks = blob_file_bytes(CONTENT_CHUNKS) - (uint64_t)CONTENT_CHUNKS * BLOB_SEALED_BYTES;
    uint32_t count;
    uint64_t came;

    make(CONTENT_BYTES, &made);
    flip(path_of(&made.address, ""), (off_t)(chunks + 17 * (uint64_t)BLOB_SEALED_BYTES));
    flip(path_of(&made.address, ""),
         (off_t)(chunks + 300 * (uint64_t)BLOB_SEALED_BYTES + BLOB_SEALED_BYTES - 1));
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blob_check(file, note_damage, NULL, &count), ERR_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(damaged_chunks[0], 17);
    ck_assert_uint_eq(damaged_chunks[1], 300);
    ck_assert_int_eq(blob_read_chunk(file, 17, sealed), ERR_CORRUPT);
    ck_assert_int_eq(blob_read_chunk(file, 18, sealed), ERR_OK);
    blob_close(&file);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES, &came), ERR_CORRUPT);
    ck_assert_uint_eq(came, 17 * BLOB_CHUNK_BYTES);
}
END_TEST

START_TEST(a_damaged_page_costs_its_chunks_and_a_damaged_head_the_file)
{
    struct blob_file *file = NULL;
    struct blob_made made;
    uint32_t count;

    make(CONTENT_BYTES, &made);
    flip(path_of(&made.address, ""), 16 + 2 * HASH_BYTES + 256 * HASH_BYTES + 3);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blob_check(file, NULL, NULL, &count), ERR_OK);
    ck_assert_uint_eq(count, CONTENT_CHUNKS - 256);
    blob_close(&file);
    flip(path_of(&made.address, ""), 16 + 3);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_CORRUPT);
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(a_file_cut_short_of_another_name_or_of_a_newer_program_is_refused)
{
    struct blob_file *file = NULL;
    struct blob_made made;
    struct blob_made other;
    char path[256];

    make(CONTENT_BYTES, &made);
    make(100, &other);
    ck_assert_int_eq(truncate(path_of(&made.address, ""), (off_t)blob_file_bytes(CONTENT_CHUNKS) - 1), 0);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_CORRUPT);
    (void)snprintf(path, sizeof path, "%s", path_of(&other.address, ""));
    ck_assert_int_eq(rename(path, path_of(&made.address, "")), 0);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_CORRUPT);
    ck_assert_int_eq(blob_open(&file, blobs, &other.address), ERR_ABSENT);
    make(100, &other);
    int raw = open(path_of(&other.address, ""), O_RDWR);
    ck_assert_int_eq(pwrite(raw, "\x02", 1, 8), 1);
    close(raw);
    ck_assert_int_eq(blob_open(&file, blobs, &other.address), ERR_NEWER);
    ck_assert_int_eq(unlink(path_of(&other.address, "")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path_of(&other.address, "")), 0);
    ck_assert_int_eq(blob_open(&file, blobs, &other.address), ERR_DENIED);
}
END_TEST

START_TEST(another_key_another_size_or_another_content_is_no_content)
{
    struct blob_made made;
    struct blob_key key;
    uint64_t came;

    make(CONTENT_BYTES, &made);
    key = made.key;
    key.key.bytes[0] ^= 1;
    ck_assert_int_eq(read_all(&made.address, &key, CONTENT_BYTES, &came), ERR_CORRUPT);
    ck_assert_uint_eq(came, 0);
    key = made.key;
    key.content_hash.bytes[0] ^= 1;
    ck_assert_int_eq(read_all(&made.address, &key, CONTENT_BYTES, &came), ERR_CORRUPT);
    ck_assert_uint_eq(came, CONTENT_BYTES);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES - 1, &came), ERR_CORRUPT);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES + 1, &came), ERR_CORRUPT);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES + BLOB_CHUNK_BYTES, &came),
                     ERR_INVALID);
}
END_TEST

/* --- on its way --- */

static void
copy_of(const struct hash *address, struct buf *head, struct buf *page0, struct buf *page1)
{
    struct blob_file *file;

    ck_assert_int_eq(blob_open(&file, blobs, address), ERR_OK);
    ck_assert_int_eq(blob_read_head(file, head), ERR_OK);
    ck_assert_int_eq(blob_read_page(file, 0, page0), ERR_OK);
    ck_assert_int_eq(blob_read_page(file, 1, page1), ERR_OK);
    blob_close(&file);
}

START_TEST(a_blob_arrives_in_any_order_of_chunks_and_goes_on_after_a_cut)
{
    static uint8_t chunks[CONTENT_CHUNKS][BLOB_SEALED_BYTES];
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct buf head = { 0 };
    struct buf pages[2] = { { 0 } };
    struct blob_file *file;
    struct blob_made made;
    uint64_t came;

    make(CONTENT_BYTES, &made);
    copy_of(&made.address, &head, &pages[0], &pages[1]);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_OK);
    for (uint32_t n = 0; n < CONTENT_CHUNKS; n++) {
        ck_assert_int_eq(blob_read_chunk(file, n, chunks[n]), ERR_OK);
    }
    blob_close(&file);
    ck_assert_int_eq(blobs_remove(blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_ABSENT);

    ck_assert_int_eq(blob_begin(&file, blobs, &made.address, CONTENT_CHUNKS), ERR_OK);
    ck_assert(!blob_has_head(file));
    ck_assert_int_eq(blob_put_page(file, 0, buf_span(&pages[0])), ERR_ABSENT);
    ck_assert_int_eq(blob_put_chunk(file, 0, span_of(chunks[0], BLOB_SEALED_BYTES)), ERR_ABSENT);
    ck_assert_int_eq(blob_put_head(file, buf_span(&pages[0])), ERR_INVALID);
    ck_assert_int_eq(blob_put_head(file, buf_span(&head)), ERR_OK);
    ck_assert_int_eq(blob_put_page(file, 1, buf_span(&pages[0])), ERR_INVALID);
    ck_assert_int_eq(blob_put_page(file, 2, buf_span(&pages[0])), ERR_INVALID);
    ck_assert_int_eq(blob_put_page(file, 1, buf_span(&pages[1])), ERR_OK);
    ck_assert_int_eq(blob_put_chunk(file, 0, span_of(chunks[0], BLOB_SEALED_BYTES)), ERR_ABSENT);
    ck_assert_int_eq(blob_put_chunk(file, 256, span_of(chunks[257], BLOB_SEALED_BYTES)), ERR_INVALID);
    ck_assert_int_eq(blob_put_chunk(file, 257, span_of(chunks[257], BLOB_SEALED_BYTES - 1)), ERR_INVALID);
    ck_assert_int_eq(blob_put_chunk(file, CONTENT_CHUNKS, span_of(chunks[0], BLOB_SEALED_BYTES)),
                     ERR_INVALID);
    ck_assert_int_eq(blob_put_chunk(file, 257, span_of(chunks[257], BLOB_SEALED_BYTES)), ERR_OK);
    ck_assert_int_eq(blob_sync(file), ERR_OK);
    blob_close(&file);

    /* What was there before the cut is there behind it. */
    ck_assert_int_eq(blob_begin(&file, blobs, &made.address, CONTENT_CHUNKS + 1), ERR_INVALID);
    ck_assert_int_eq(blob_begin(&file, blobs, &made.address, CONTENT_CHUNKS), ERR_OK);
    ck_assert(blob_has_head(file));
    ck_assert_int_eq(blob_read_chunk(file, 257, sealed), ERR_OK);
    ck_assert_int_eq(blob_read_chunk(file, 258, sealed), ERR_CORRUPT);
    ck_assert_int_eq(blob_read_chunk(file, 0, sealed), ERR_ABSENT);
    ck_assert_int_eq(blob_put_page(file, 0, buf_span(&pages[0])), ERR_OK);
    for (uint32_t n = CONTENT_CHUNKS; n-- > 0;) {
        ck_assert_int_eq(blob_put_chunk(file, n, span_of(chunks[n], BLOB_SEALED_BYTES)), ERR_OK);
    }
    ck_assert(!blob_is_whole(file));
    ck_assert_int_eq(blob_finish(file), ERR_OK);
    ck_assert(blob_is_whole(file));
    blob_close(&file);
    ck_assert_int_ne(access(path_of(&made.address, ".part"), F_OK), 0);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES, &came), ERR_OK);
    buf_free(&head);
    buf_free(&pages[0]);
    buf_free(&pages[1]);
}
END_TEST

START_TEST(a_damaged_chunk_is_mended_by_its_copy_alone)
{
    uint8_t good[BLOB_SEALED_BYTES];
    struct blob_file *file;
    struct blob_made made;
    uint32_t count;
    uint64_t came;

    make(CONTENT_BYTES, &made);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blob_read_chunk(file, 5, good), ERR_OK);
    blob_close(&file);
    flip(path_of(&made.address, ""),
         (off_t)(blob_file_bytes(CONTENT_CHUNKS) - (uint64_t)(CONTENT_CHUNKS - 5) * BLOB_SEALED_BYTES));
    ck_assert_int_eq(blobs_reopen(blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blobs_reopen(blobs, &made.address), ERR_ABSENT);
    ck_assert_int_eq(blob_open(&file, blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blob_check(file, note_damage, NULL, &count), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(damaged_chunks[0], 5);
    ck_assert_int_eq(blob_put_chunk(file, 5, span_of(good, sizeof good)), ERR_OK);
    ck_assert_int_eq(blob_finish(file), ERR_OK);
    blob_close(&file);
    ck_assert_int_eq(read_all(&made.address, &made.key, CONTENT_BYTES, &came), ERR_OK);
}
END_TEST

/* --- the folder --- */

static enum err
count_one(void *self, const struct hash *address, uint32_t chunk_count)
{
    unsigned *count = self;

    (void)address;
    *count += chunk_count;
    return ERR_OK;
}

START_TEST(what_was_being_made_is_gone_with_its_writer_and_with_the_process)
{
    struct blob_writer *writer;
    struct blob_made made;
    unsigned chunks = 0;
    char path[256];

    make(CONTENT_BYTES, &made);
    ck_assert_int_eq(blob_writer_open(&writer, blobs, 5), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/blobs/new-2", directory);
    ck_assert_int_eq(access(path, F_OK), 0);
    blob_writer_close(&writer);
    ck_assert_int_ne(access(path, F_OK), 0);
    int left = open(path, O_CREAT | O_WRONLY, 0600);
    close(left);
    blobs_close(&blobs);
    ck_assert_int_eq(blobs_open(&blobs, directory, &world.world), ERR_OK);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(blobs_each(blobs, count_one, &chunks), ERR_OK);
    ck_assert_uint_eq(chunks, CONTENT_CHUNKS);
    ck_assert_int_eq(blobs_remove(blobs, &made.address), ERR_OK);
    ck_assert_int_eq(blobs_remove(blobs, &made.address), ERR_OK);
    chunks = 0;
    ck_assert_int_eq(blobs_each(blobs, count_one, &chunks), ERR_OK);
    ck_assert_uint_eq(chunks, 0);
}
END_TEST

START_TEST(a_folder_that_is_no_folder_of_ours_is_refused)
{
    char path[256];
    struct blobs *again = NULL;

    blobs_close(&blobs);
    (void)snprintf(path, sizeof path, "%s/blobs", directory);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    ck_assert_int_eq(blobs_open(&again, directory, &world.world), ERR_DENIED);
    ck_assert_ptr_null(again);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Each step of the disk fails once: no file is left that looks whole, and none of the content is in any. */
START_TEST(i4_a_failing_disk_leaves_nothing_that_looks_whole)
{
    struct blob_made made;
    unsigned failures = 0;
    unsigned chunks;

    for (uint64_t step = 1;; step++) {
        struct blob_writer *writer = NULL;

        test_world_fail_disk(&world, step, ERR_FULL);
        enum err err = blob_writer_open(&writer, blobs, 3 * BLOB_CHUNK_BYTES);
        if (err == ERR_OK) {
            err = blob_write(writer, span_of(content, 3 * BLOB_CHUNK_BYTES));
        }
        if (err == ERR_OK) {
            err = blob_writer_end(writer, &made);
        }
        if (err == ERR_OK) {
            err = blob_writer_keep(writer);
        }
        blob_writer_close(&writer);
        chunks = 0;
        ck_assert_int_eq(blobs_each(blobs, count_one, &chunks), ERR_OK);
        if (err == ERR_OK) {
            ck_assert_uint_eq(chunks, 3);
            break;
        }
        ck_assert_int_eq(err, ERR_FULL);
        ck_assert_uint_eq(chunks, 0);
        failures++;
    }
    ck_assert_uint_ge(failures, 6);
}
END_TEST

START_TEST(c1_no_content_and_no_key_lies_open_in_a_file)
{
    static const char marker[] = "MARKER-of-a-picture-81234";
    static char file_bytes[3 * BLOB_SEALED_BYTES];
    struct blob_made made;

    memcpy(content + 100, marker, sizeof marker);
    make(BLOB_CHUNK_BYTES + 9, &made);
    int file = open(path_of(&made.address, ""), O_RDONLY);
    ssize_t size = read(file, file_bytes, sizeof file_bytes);
    close(file);
    ck_assert_int_eq(size, (ssize_t)blob_file_bytes(2));
    ck_assert_ptr_null(memmem(file_bytes, (size_t)size, marker, sizeof marker - 1));
    ck_assert_ptr_null(memmem(file_bytes, (size_t)size, made.key.key.bytes, KEY_BYTES));
    ck_assert_ptr_null(memmem(file_bytes, (size_t)size, made.key.content_hash.bytes, HASH_BYTES));
}
END_TEST

START_TEST(the_shape_of_a_blob_follows_from_its_size)
{
    uint8_t bytes[BLOB_KEY_BYTES + 1];
    struct blob_key key = { { { 7 } }, { { 9 } } };
    struct blob_key again;

    ck_assert_uint_eq(blob_chunk_count(0), 0);
    ck_assert_uint_eq(blob_chunk_count(1), 1);
    ck_assert_uint_eq(blob_chunk_count(BLOB_BYTES_MAX), BLOB_CHUNKS_MAX);
    ck_assert_uint_eq(blob_chunk_count(BLOB_BYTES_MAX + 1), 0);
    ck_assert_uint_eq(blob_page_count(256), 1);
    ck_assert_uint_eq(blob_page_count(257), 2);
    ck_assert_uint_eq(blob_page_chunks(257, 0), 256);
    ck_assert_uint_eq(blob_page_chunks(257, 1), 1);
    blob_key_write(bytes, &key);
    ck_assert(blob_key_read(span_of(bytes, BLOB_KEY_BYTES), &again));
    ck_assert(crypto_equal(&key, &again, sizeof key));
    ck_assert(!blob_key_read(span_of(bytes, BLOB_KEY_BYTES - 1), &again));
    ck_assert(!blob_key_read(span_of(bytes, BLOB_KEY_BYTES + 1), &again));
}
END_TEST

SUITE_MAIN_WITH("blob", setup, teardown, a_content_of_any_size_comes_back_as_it_was,
                the_hash_of_the_content_is_the_one_that_people_know,
                the_same_content_twice_is_two_blobs_that_have_nothing_in_common,
                no_size_but_the_one_that_was_said_is_taken, every_place_of_a_chunk_is_bound,
                damage_is_named_by_its_chunk_and_the_rest_is_still_good,
                a_damaged_page_costs_its_chunks_and_a_damaged_head_the_file,
                a_file_cut_short_of_another_name_or_of_a_newer_program_is_refused,
                another_key_another_size_or_another_content_is_no_content,
                a_blob_arrives_in_any_order_of_chunks_and_goes_on_after_a_cut,
                a_damaged_chunk_is_mended_by_its_copy_alone,
                what_was_being_made_is_gone_with_its_writer_and_with_the_process,
                a_folder_that_is_no_folder_of_ours_is_refused,
                i4_a_failing_disk_leaves_nothing_that_looks_whole,
                c1_no_content_and_no_key_lies_open_in_a_file, the_shape_of_a_blob_follows_from_its_size)
