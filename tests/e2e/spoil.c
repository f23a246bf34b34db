/* spoil.c - a disk that gives back other bits than were written, for heal.test.
 *
 *     spoil DIR COUNT    flip one bit in the row of COUNT entries of the journal; the passphrase of DIR is on standard input
 *
 * The node must not run. The rows are spread over all that are long enough to be found by their bytes; copies that an older
 * state left in the file are spoiled as well. Prints LOG:SEQ of each.
 */
#include "node/setup.h"
#include "node/world.h"
#include "store/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROW_BYTES_MIN = 64, ROWS_MAX = 1000, ROW_KEY_BYTES = 12 };

struct row {
    uint8_t key[ROW_KEY_BYTES];
    struct buf value;
};

static size_t
take_rows(struct table_txn *txn, size_t wanted, struct row rows[ROWS_MAX])
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint64_t every = table_count(txn, TABLE_ENT) / (wanted + 1) + 1;
    uint64_t at = 0;
    size_t count = 0;

    table_cursor_init(&cursor, txn, TABLE_ENT, span_of(NULL, 0));
    for (; count < wanted && table_cursor_next(&cursor, &key, &value); at++) {
        if (at >= every * count && value.data != NULL && value.size >= ROW_BYTES_MIN &&
            key.size == ROW_KEY_BYTES) {
            memcpy(rows[count].key, key.data, ROW_KEY_BYTES);
            buf_put_span(&rows[count].value, value);
            count++;
        }
    }
    table_cursor_end(&cursor);
    return count;
}

/* Flip a bit in the middle of each place where these bytes are. False: they are nowhere. */
static bool
spoil(int file, uint8_t *bytes, size_t size, struct span row)
{
    bool found = false;

    for (uint8_t *at = memmem(bytes, size, row.data, row.size); at != NULL;
         at = memmem(at, size - (size_t)(at - bytes), row.data, row.size)) {
        uint8_t *in = at + row.size / 2;

        *in ^= 4;
        found = pwrite(file, in, 1, in - bytes) == 1;
    }
    return found;
}

static bool
spoil_all(const char *path, struct row *rows, size_t count)
{
    struct stat info;
    int file = open(path, O_RDWR | O_CLOEXEC);
    bool good = file >= 0 && fstat(file, &info) == 0;
    size_t size = good ? (size_t)info.st_size : 0;
    uint8_t *bytes = malloc(size + 1);

    good = good && bytes != NULL && read(file, bytes, size) == (ssize_t)size;
    for (size_t n = 0; n < count && good; n++) {
        good = spoil(file, bytes, size, buf_span(&rows[n].value));
        (void)printf("%u:%llu\n", bytes_read_u32(rows[n].key),
                     (unsigned long long)bytes_read_u64(rows[n].key + 4));
    }
    free(bytes);
    if (file >= 0) {
        good = close(file) == 0 && good;
    }
    return good;
}

int
main(int argc, char **argv)
{
    static struct row rows[ROWS_MAX];
    struct setup setup = { .directory = "" };
    struct table_env *env = NULL;
    struct table_txn *txn = NULL;
    struct real_world world;
    struct setup_fault fault;
    char passphrase[256];
    char path[SETUP_PATH_BYTES];
    size_t count = 0;

    if (argc != 3 || crypto_start() != ERR_OK || fgets(passphrase, sizeof passphrase, stdin) == NULL) {
        return 2;
    }
    size_t wanted = strtoul(argv[2], NULL, 10);
    passphrase[strcspn(passphrase, "\n")] = '\0';
    real_world_init(&world);
    if (wanted == 0 || wanted > ROWS_MAX || !setup_unlock(&setup, argv[1], span_text(passphrase), &fault)) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/main", argv[1]);
    enum err err = table_env_open(&env, &(struct table_options){ .path = path,
                                                                 .set = TABLE_SET_MAIN,
                                                                 .key = setup.storage_key,
                                                                 .world = &world.world,
                                                                 .read_only = true });
    if (err == ERR_OK) {
        err = table_begin_read(env, &txn);
    }
    if (err == ERR_OK) {
        count = take_rows(txn, wanted, rows);
        table_abort(&txn);
    }
    table_env_close(&env);
    setup_close(&setup);
    (void)snprintf(path, sizeof path, "%s/main/data.mdb", argv[1]);
    bool good = err == ERR_OK && count == wanted && spoil_all(path, rows, count);
    for (size_t n = 0; n < count; n++) {
        buf_free(&rows[n].value);
    }
    return good ? 0 : 1;
}
