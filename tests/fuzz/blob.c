/* blob: any bytes as the file of a blob that is on its way, and as what a peer sends of it. */
#include "store/blob.h"

#include "store/base/world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/vigil-fuzz-blob-XXXXXX";
static struct blobs *blobs;

static enum err
disk_works(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static const struct world world = { .disk = disk_works };

static void
clean_up(void)
{
    char path[64];

    blobs_close(&blobs);
    (void)snprintf(path, sizeof path, "%s/blobs", directory);
    (void)rmdir(path);
    (void)rmdir(directory);
}

static void
start(void)
{
    if (blobs == NULL && (mkdtemp(directory) == NULL || blobs_open(&blobs, directory, &world) != ERR_OK ||
                          atexit(clean_up) != 0)) {
        abort();
    }
}

/* The file that these bytes are, under the name that their head gives them, or under none's. */
static void
put_file(const struct hash *address, struct span bytes)
{
    char hex[2 * HASH_BYTES + 1];
    char path[160];

    bytes_hex(hex, hash_span(address));
    (void)snprintf(path, sizeof path, "%s/blobs/%s.part", directory, hex);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, bytes.data, bytes.size) != (ssize_t)bytes.size) {
        abort();
    }
    close(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct span bytes = span_of(data, size);
    struct blob_file *file = NULL;
    struct hash address = { { 0 } };
    uint32_t damaged;

    start();
    if (size >= 16 + HASH_BYTES) {
        blob_address(&address, bytes_read_u32(data + 12), span_of(data + 16, HASH_BYTES));
    }
    put_file(&address, bytes);
    enum err err = blob_open(&file, blobs, &address);
    if (err == ERR_OK) {
        uint32_t count = blob_chunks(file);

        /* What is read has the hashes that lead to the address. */
        if (count == 0 || count > BLOB_CHUNKS_MAX || blob_file_bytes(count) != size ||
            blob_check(file, NULL, NULL, &damaged) != ERR_OK || damaged > count) {
            abort();
        }
        err = blob_read_chunk(file, 0, sealed);
        if (err == ERR_OK && !blob_has_head(file)) {
            abort();
        }
        /* What is taken is what the address leads to, and is read again. */
        if ((blob_put_head(file, bytes) == ERR_OK && !blob_has_head(file)) ||
            (blob_put_page(file, 0, bytes) == ERR_OK && !blob_has_head(file)) ||
            (blob_put_chunk(file, 0, bytes) == ERR_OK && blob_read_chunk(file, 0, sealed) != ERR_OK)) {
            abort();
        }
        blob_close(&file);
    } else if (err != ERR_CORRUPT && err != ERR_NEWER) {
        abort();
    }
    if (blobs_remove(blobs, &address) != ERR_OK) {
        abort();
    }
    return 0;
}
