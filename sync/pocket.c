#include "sync/pocket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
pocket_free(struct pocket *pocket)
{
    free(pocket->files);
    *pocket = (struct pocket){ 0 };
}

enum err
pocket_add(struct pocket *pocket, const struct pocket_file *file)
{
    if (pocket->count == pocket->room) {
        size_t room = pocket->room == 0 ? 64 : 2 * pocket->room;
        struct pocket_file *files = realloc(pocket->files, room * sizeof *files);

        if (files == NULL) {
            return ERR_MEMORY;
        }
        pocket->files = files;
        pocket->room = room;
    }
    pocket->files[pocket->count] = *file;
    pocket->count++;
    return ERR_OK;
}

static int
address_order(const void *left, const void *right)
{
    return hash_compare(&((const struct pocket_file *)left)->address,
                        &((const struct pocket_file *)right)->address);
}

static int
file_order(const void *left, const void *right)
{
    const struct pocket_file *a = left;
    const struct pocket_file *b = right;

    if (a->asked != b->asked) {
        return a->asked ? -1 : 1;
    }
    if (a->chunk_count != b->chunk_count) {
        return a->chunk_count < b->chunk_count ? -1 : 1;
    }
    return address_order(left, right);
}

void
pocket_sort(struct pocket *pocket)
{
    size_t kept = 0;

    if (pocket->count == 0) {
        return;
    }
    qsort(pocket->files, pocket->count, sizeof *pocket->files, address_order);
    for (size_t n = 0; n < pocket->count; n++) {
        if (kept > 0 && hash_equal(&pocket->files[kept - 1].address, &pocket->files[n].address)) {
            pocket->files[kept - 1].asked = pocket->files[kept - 1].asked || pocket->files[n].asked;
        } else {
            pocket->files[kept] = pocket->files[n];
            kept++;
        }
    }
    pocket->count = kept;
    qsort(pocket->files, pocket->count, sizeof *pocket->files, file_order);
}

uint64_t
pocket_bytes(const struct pocket *pocket)
{
    uint64_t sum = 0;

    for (size_t n = 0; n < pocket->count; n++) {
        sum += (uint64_t)pocket->files[n].chunk_count * BLOB_SEALED_BYTES;
    }
    return sum;
}

bool
pocket_is_done(const struct pocket *pocket)
{
    return pocket->at == pocket->count;
}

enum err
pocket_build(const struct pocket *pocket, struct replica *replica, struct buf *bytes,
             struct pocket_piece *out)
{
    assert(!pocket_is_done(pocket));
    const struct pocket_file *file = &pocket->files[pocket->at];

    *out = (struct pocket_piece){ .is_name = pocket->stage == POCKET_NAMED,
                                  .compartment = file->compartment,
                                  .part = { .address = file->address } };
    buf_clear(bytes);
    switch (pocket->stage) {
    case POCKET_NAMED:
        return parcel_item(replica, &file->compartment, &file->address, &out->item);
    case POCKET_HEAD:
    case POCKET_HEAD_AGAIN:
        out->part.piece = BLOB_HEAD;
        break;
    case POCKET_PAGE:
        out->part.piece = BLOB_PAGE;
        out->part.index = pocket->chunk / BLOB_PAGE_CHUNKS;
        break;
    case POCKET_PAGE_AGAIN:
        out->part.piece = BLOB_PAGE;
        out->part.index = (pocket->chunk - 1) / BLOB_PAGE_CHUNKS;
        break;
    case POCKET_CHUNK:
        out->part.piece = BLOB_CHUNK;
        out->part.index = pocket->chunk;
        break;
    }
    memcpy(out->part.tag, file->compartment.bytes, TAG_BYTES);
    enum err err = parcel_read(replica, &file->compartment, &file->address, (enum blob_piece)out->part.piece,
                               out->part.index, bytes, &out->part.chunk_count);
    if (err == ERR_OK && out->part.chunk_count != file->chunk_count) {
        err = ERR_ABSENT;
    }
    out->part.bytes = buf_span(bytes);
    return err == ERR_OK && bytes->failed ? ERR_MEMORY : err;
}

bool
pocket_step(struct pocket *pocket)
{
    const struct pocket_file *file = &pocket->files[pocket->at];

    switch (pocket->stage) {
    case POCKET_NAMED:
        pocket->stage = POCKET_HEAD;
        break;
    case POCKET_HEAD:
        pocket->stage = POCKET_PAGE;
        break;
    case POCKET_PAGE:
        pocket->stage = POCKET_CHUNK;
        break;
    case POCKET_CHUNK:
        pocket->chunk++;
        if (pocket->chunk == file->chunk_count || pocket->chunk % BLOB_PAGE_CHUNKS == 0) {
            pocket->stage = POCKET_PAGE_AGAIN;
        }
        break;
    case POCKET_PAGE_AGAIN:
        pocket->stage = pocket->chunk == file->chunk_count ? POCKET_HEAD_AGAIN : POCKET_PAGE;
        break;
    case POCKET_HEAD_AGAIN:
        pocket_skip(pocket);
        return true;
    }
    return false;
}

void
pocket_skip(struct pocket *pocket)
{
    pocket->at++;
    pocket->stage = POCKET_NAMED;
    pocket->chunk = 0;
}

void
pocket_begin_volume(struct pocket *pocket)
{
    if (!pocket_is_done(pocket) && pocket->chunk < pocket->files[pocket->at].chunk_count) {
        pocket->stage = POCKET_NAMED;
    }
}
