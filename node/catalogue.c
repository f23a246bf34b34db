#include "node/catalogue.h"

#include "store/base/cbor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 28, PAIR_BYTES = 8, CONTEXT_END = 4 };

static const uint32_t magic = 0x950412de;

struct catalogue {
    struct buf bytes;
    bool swapped; /* its integers are big-endian */
    size_t count;
    size_t originals; /* where the table of each begins */
    size_t translations;
};

static uint32_t
number_at(const struct catalogue *catalogue, size_t at)
{
    const uint8_t *bytes = catalogue->bytes.data + at;

    return catalogue->swapped
               ? bytes_read_u32(bytes)
               : (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Text `n` of a table; data is NULL if it does not lie in the file, with its NUL. */
static struct span
text_at(const struct catalogue *catalogue, size_t table, size_t n)
{
    size_t size = number_at(catalogue, table + n * PAIR_BYTES);
    size_t at = number_at(catalogue, table + n * PAIR_BYTES + 4);

    if (at >= catalogue->bytes.size || size >= catalogue->bytes.size - at ||
        catalogue->bytes.data[at + size] != '\0') {
        return span_of(NULL, 0);
    }
    return span_of(catalogue->bytes.data + at, size);
}

/* Of a text with a plural the singular, which ends at a NUL within it. */
static const char *
original_at(const struct catalogue *catalogue, size_t n)
{
    return (const char *)text_at(catalogue, catalogue->originals, n).data;
}

static bool
read_head(struct catalogue *catalogue)
{
    if (catalogue->bytes.size < HEAD_BYTES) {
        return false;
    }
    if (number_at(catalogue, 0) != magic) {
        catalogue->swapped = true;
    }
    /* Only a major revision changes what stands here. */
    if (number_at(catalogue, 0) != magic || number_at(catalogue, 4) >> 16 != 0) {
        return false;
    }
    catalogue->count = number_at(catalogue, 8);
    catalogue->originals = number_at(catalogue, 12);
    catalogue->translations = number_at(catalogue, 16);
    size_t room = catalogue->bytes.size;
    return catalogue->count <= room / PAIR_BYTES && catalogue->originals <= room &&
           catalogue->translations <= room && catalogue->count * PAIR_BYTES <= room - catalogue->originals &&
           catalogue->count * PAIR_BYTES <= room - catalogue->translations;
}

/* All texts lie in the file, are UTF-8, and the originals ascend: so each is found, and is what it is for. */
static bool
read_texts(const struct catalogue *catalogue)
{
    const char *before = NULL;

    for (size_t n = 0; n < catalogue->count; n++) {
        struct span original = text_at(catalogue, catalogue->originals, n);
        struct span translation = text_at(catalogue, catalogue->translations, n);

        if (original.data == NULL || translation.data == NULL || !utf8_valid(original) ||
            !utf8_valid(translation)) {
            return false;
        }
        if (before != NULL && strcmp(before, (const char *)original.data) >= 0) {
            return false;
        }
        before = (const char *)original.data;
    }
    return true;
}

enum err
catalogue_parse(struct catalogue **catalogue_out, struct buf *bytes)
{
    struct catalogue *catalogue = calloc(1, sizeof *catalogue);
    enum err err = catalogue == NULL || bytes->failed ? ERR_MEMORY : ERR_OK;

    *catalogue_out = NULL;
    if (err == ERR_OK) {
        catalogue->bytes = *bytes;
        *bytes = (struct buf){ 0 };
        err = read_head(catalogue) && read_texts(catalogue) ? ERR_OK : ERR_INVALID;
    }
    buf_free(bytes);
    if (err == ERR_OK) {
        /* The heading is the translation of nothing; of another encoding, what was found to be UTF-8 was so by chance. */
        const char *heading = catalogue_find(catalogue, NULL, "");
        err = heading != NULL && strcasestr(heading, "charset=utf-8") != NULL ? ERR_OK : ERR_INVALID;
    }
    if (err != ERR_OK) {
        catalogue_close(&catalogue);
    }
    *catalogue_out = catalogue;
    return err;
}

enum err
catalogue_open(struct catalogue **catalogue_out, const char *path)
{
    struct buf bytes = { 0 };
    char part[4096];
    size_t size;

    *catalogue_out = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? ERR_ABSENT : ERR_IO;
    }
    while (bytes.size <= CATALOGUE_BYTES_MAX && (size = fread(part, 1, sizeof part, file)) > 0) {
        buf_put(&bytes, part, size);
    }
    enum err err = ferror(file) != 0 ? ERR_IO : bytes.size > CATALOGUE_BYTES_MAX ? ERR_FULL : ERR_OK;
    (void)fclose(file);
    if (err != ERR_OK) {
        buf_free(&bytes);
        return err;
    }
    return catalogue_parse(catalogue_out, &bytes);
}

void
catalogue_close(struct catalogue **catalogue)
{
    if (*catalogue != NULL) {
        buf_free(&(*catalogue)->bytes);
        free(*catalogue);
        *catalogue = NULL;
    }
}

size_t
catalogue_count(const struct catalogue *catalogue)
{
    return catalogue->count - 1;
}

/* Compare "context\4text", or "text", with an original. */
static int
compare(const char *context, const char *text, const char *original)
{
    if (context != NULL) {
        size_t size = strlen(context);
        int order = strncmp(context, original, size);

        if (order != 0) {
            return order;
        }
        if (original[size] != CONTEXT_END) {
            return CONTEXT_END - (unsigned char)original[size];
        }
        original += size + 1;
    }
    return strcmp(text, original);
}

const char *
catalogue_find(const struct catalogue *catalogue, const char *context, const char *text)
{
    size_t low = 0;
    size_t high = catalogue == NULL ? 0 : catalogue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(context, text, original_at(catalogue, middle));

        if (order == 0) {
            const char *found = (const char *)text_at(catalogue, catalogue->translations, middle).data;

            return found[0] == '\0' ? NULL : found;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
