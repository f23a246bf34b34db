/* The advanced interface is needed for magicless frames; its use is confined to this file, and the
 * golden vectors hold it to its word whenever the library changes. */
#define ZSTD_STATIC_LINKING_ONLY

#include "store/base/pack.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

/* Payloads are small and written once, but sent many times. Up to 10 an entry of the workload takes 150 B on the wire and
 * more, from 11 on 144 B; what lies above takes longer and saves nothing. */
enum { LEVEL = 11, WINDOW_LOG = 20 };

/* The first byte of a frame: the two high bits tell the width of the content size, the next says
 * that the content is one segment. Checksum, dictionary id and reserved bits are zero. */
enum { FRAME_FORM_MASK = 0x3f, FRAME_FORM = 0x20 };

enum { BLOCK_HEADER_BYTES = 3, BLOCK_RUN_LENGTH = 1 };

/* The dictionary is taken in as it is; `dictionary.bin` and no copy of it is the truth. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "vigil_dictionary:\n"
        ".incbin \"store/base/dictionary.bin\"\n"
        "vigil_dictionary_end:\n"
        ".popsection\n");
extern const uint8_t dictionary_begin[] __asm__("vigil_dictionary") __attribute__((visibility("hidden")));
extern const uint8_t dictionary_end[] __asm__("vigil_dictionary_end") __attribute__((visibility("hidden")));

/* The digested dictionary, shared by all threads and never changed. */
static ZSTD_CDict *write_dictionary;
static ZSTD_DDict *read_dictionary;

/* What one thread compresses and decompresses with. */
struct packer {
    ZSTD_CCtx *writer;
    ZSTD_DCtx *reader;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t packer_key;

struct span
pack_dictionary(void)
{
    return span_of(dictionary_begin, (size_t)(dictionary_end - dictionary_begin));
}

static void
packer_free(void *packer_of_thread)
{
    struct packer *packer = packer_of_thread;

    if (packer != NULL) {
        ZSTD_freeCCtx(packer->writer);
        ZSTD_freeDCtx(packer->reader);
        free(packer);
    }
}

static void
start(void)
{
    struct span dictionary = pack_dictionary();
    int failed = pthread_key_create(&packer_key, packer_free);

    assert(failed == 0);
    write_dictionary = ZSTD_createCDict_byReference(dictionary.data, dictionary.size, LEVEL);
    read_dictionary = ZSTD_createDDict_byReference(dictionary.data, dictionary.size);
}

/* True if every setting was taken: a library that knows one no more is of another make. */
static bool
packer_set_up(struct packer *packer)
{
    size_t taken[] = {
        ZSTD_CCtx_setParameter(packer->writer, ZSTD_c_format, ZSTD_f_zstd1_magicless),
        ZSTD_CCtx_setParameter(packer->writer, ZSTD_c_contentSizeFlag, 1),
        ZSTD_CCtx_setParameter(packer->writer, ZSTD_c_checksumFlag, 0),
        ZSTD_CCtx_setParameter(packer->writer, ZSTD_c_dictIDFlag, 0),
        ZSTD_CCtx_setParameter(packer->writer, ZSTD_c_windowLog, WINDOW_LOG),
        ZSTD_CCtx_refCDict(packer->writer, write_dictionary),
        ZSTD_DCtx_setParameter(packer->reader, ZSTD_d_format, ZSTD_f_zstd1_magicless),
        ZSTD_DCtx_refDDict(packer->reader, read_dictionary),
    };

    for (size_t n = 0; n < sizeof taken / sizeof taken[0]; n++) {
        if (ZSTD_isError(taken[n])) {
            return false;
        }
    }
    return true;
}

/* This thread's packer; NULL: no memory. */
static struct packer *
packer_here(void)
{
    (void)pthread_once(&once, start);
    struct packer *packer = pthread_getspecific(packer_key);
    if (packer != NULL) {
        return packer;
    }
    if (write_dictionary == NULL || read_dictionary == NULL) {
        return NULL;
    }
    packer = calloc(1, sizeof *packer);
    if (packer == NULL) {
        return NULL;
    }
    packer->writer = ZSTD_createCCtx();
    packer->reader = ZSTD_createDCtx();
    if (packer->writer == NULL || packer->reader == NULL || !packer_set_up(packer) ||
        pthread_setspecific(packer_key, packer) != 0) {
        packer_free(packer);
        return NULL;
    }
    return packer;
}

void
pack_compress(struct span plain, struct buf *out)
{
    struct packer *packer = packer_here();
    size_t before = out->size;
    size_t bound = ZSTD_compressBound(plain.size);
    uint8_t *frame = packer == NULL ? NULL : buf_extend(out, bound);

    if (frame == NULL) {
        out->failed = true;
        return;
    }
    size_t size = ZSTD_compress2(packer->writer, frame, bound, plain.data, plain.size);
    if (ZSTD_isError(size)) {
        out->failed = true;
        size = 0;
    }
    out->size = before + size;
}

/* The size of the content that a frame declares; false unless `frame` is exactly one frame of our
 * form. The library would also take several frames, skipped ones and those of older versions, and not
 * every version of it the same: what is one payload must not depend on that. */
static bool
frame_content(struct span frame, uint64_t *content_bytes_out)
{
    struct reader reader = reader_of(frame);
    uint8_t form = reader_u8(&reader);

    if (reader.failed || (form & FRAME_FORM_MASK) != FRAME_FORM) {
        return false;
    }
    /* Little-endian, 1, 2, 4 or 8 bytes; two bytes count from 256. */
    size_t width = (size_t)1 << (form >> 6);
    struct span field = reader_span(&reader, width);
    *content_bytes_out = width == 2 ? 256 : 0;
    for (size_t n = 0; n < field.size; n++) {
        *content_bytes_out += (uint64_t)field.data[n] << 8 * n;
    }
    for (bool last = false; !last && !reader.failed;) {
        struct span field_of_block = reader_span(&reader, BLOCK_HEADER_BYTES);
        if (reader.failed) {
            return false;
        }
        uint32_t header = (uint32_t)field_of_block.data[0] | (uint32_t)field_of_block.data[1] << 8 |
                          (uint32_t)field_of_block.data[2] << 16;
        last = (header & 1) != 0;
        bool run = (header >> 1 & 3) == BLOCK_RUN_LENGTH;
        (void)reader_span(&reader, run ? 1 : header >> 3);
    }
    return reader_done(&reader);
}

enum err
pack_decompress(struct span frame, size_t bytes_max, struct buf *out)
{
    uint64_t content_bytes = 0;

    if (!frame_content(frame, &content_bytes)) {
        return ERR_INVALID;
    }
    if (content_bytes > bytes_max) {
        return ERR_FULL;
    }
    struct packer *packer = packer_here();
    size_t before = out->size;
    uint8_t *content = packer == NULL ? NULL : buf_extend(out, (size_t)content_bytes);
    if (content == NULL) {
        return ERR_MEMORY;
    }
    size_t size = ZSTD_decompressDCtx(packer->reader, content, (size_t)content_bytes, frame.data, frame.size);
    if (ZSTD_isError(size) || size != content_bytes) {
        out->size = before;
        return ERR_INVALID;
    }
    return ERR_OK;
}
