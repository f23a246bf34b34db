/* pages: any bytes as a file of LMDB pages. Whatever they are, the reader comes to an end, and gives nothing that does not lie in them. */
#include "store/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of one file. */
struct sum {
    uint64_t places;
    uint8_t bytes;
};

/* Every byte that is lent is read. That some are taken for rows lets the reader mark their pages. */
static bool
look_at(void *self, const struct pages_row *row)
{
    struct sum *sum = self;

    for (size_t n = 0; n < row->key.size; n++) {
        sum->bytes ^= row->key.data[n];
    }
    for (size_t n = 0; n < row->value.size; n++) {
        sum->bytes ^= row->value.data[n];
    }
    if (row->key.size == 0 || row->table > 2) {
        abort();
    }
    sum->places++;
    return sum->bytes % 3 == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "ent", "chg" };
    static int file = -1;
    struct pages_sum pages;
    struct sum sum = { .places = 0 };

    if (file < 0) {
        file = memfd_create("pages", MFD_CLOEXEC);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        abort();
    }
    enum err err = pages_read(
        &(struct pages_options){
            .file = file, .tables = names, .table_count = 2, .self = &sum, .row = look_at },
        &pages);
    if (err != ERR_OK && err != ERR_CORRUPT) {
        abort();
    }
    /* Each place of a page is tried a few times at most. */
    if (pages.damaged > pages.pages || pages.rows > sum.places || sum.places > 3 * size + 64) {
        abort();
    }
    return 0;
}
