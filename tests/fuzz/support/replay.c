/* replay.c - runs a fuzz target over its corpus, where there is no libFuzzer.
 *
 * Each file is given whole, cut at every length, and with some of its bits
 * turned: always the same ones, so that a failure comes again.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CORPUS_FILE_BYTES_MAX = 1 << 20, CUTS_MAX = 4096, FLIPS_MAX = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Give a copy of exactly `size` bytes, so that a sanitizer sees the first byte too many. */
static void
give(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void
give_file(uint8_t *data, size_t size)
{
    size_t cut_step = 1 + size / CUTS_MAX;
    size_t flip_step = 1 + 8 * size / FLIPS_MAX;

    give(data, size);
    for (size_t cut = 0; cut < size; cut += cut_step) {
        give(data, cut);
    }
    for (size_t bit = 0; bit < 8 * size; bit += flip_step) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        data[bit / 8] ^= mask;
        give(data, size);
        data[bit / 8] ^= mask;
    }
}

static int
replay(const char *folder, const char *name)
{
    static uint8_t data[CORPUS_FILE_BYTES_MAX];
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        return -1;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    size_t size = fread(data, 1, sizeof data, file);
    int failed = ferror(file) != 0 || size == sizeof data;
    failed |= fclose(file) != 0;
    if (failed) {
        return -1;
    }
    give_file(data, size);
    return 0;
}

int
main(int argc, char **argv)
{
    size_t count = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        (void)fprintf(stderr, "%s: no such corpus\n", argv[1]);
        return 1;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (replay(argv[1], entry->d_name) != 0) {
            (void)fprintf(stderr, "%s/%s: cannot be read, or is too large\n", argv[1], entry->d_name);
            (void)closedir(folder);
            return 1;
        }
        count++;
    }
    (void)closedir(folder);
    (void)printf("%zu files replayed, with their cuts and flips\n", count);
    return count > 0 ? 0 : 1;
}
