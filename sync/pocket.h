/* pocket.h - files that are carried by hand, as a row of pieces: each stands for itself, and what verifies it is near.
 *
 *     file    named | head | page 0 | chunk 0 ... chunk 255 | page 0 | page 1 | chunk 256 ... | page 1 | head
 *
 * Whoever carries pieces in a bundle or keeps them in a backup loses what is damaged of them and nothing else. A chunk is of no use
 * without its page, nor a page without the head: so both come again behind what they verify, and where the row goes on in
 * another volume it begins with them. A file is `named` by an entry, for whoever cannot open that one.
 *
 * Files are read as they are, ciphertext, and nothing is remembered of one but how far it was read.
 */
#pragma once

#include "sync/parcel.h"

struct pocket_file {
    struct hash address;
    struct ident compartment; /* one that names it */
    uint32_t chunk_count;
    bool asked; /* somebody asked for it: it comes before the others */
};

enum pocket_stage {
    POCKET_NAMED,
    POCKET_HEAD,
    POCKET_PAGE,
    POCKET_CHUNK,
    POCKET_PAGE_AGAIN,
    POCKET_HEAD_AGAIN
};

/* Zeroed, it is empty. */
struct pocket {
    struct pocket_file *files;
    size_t count;
    size_t room;
    size_t at;               /* the file that is being read */
    enum pocket_stage stage; /* of it: what comes next */
    uint32_t chunk;          /* likewise: the chunk that comes next */
};

/* What comes next. */
struct pocket_piece {
    bool is_name; /* `item`; else `part` */
    struct ident compartment;
    struct blob_have_item item;
    struct blob_part part; /* its bytes are lent by the buffer */
};

void pocket_free(struct pocket *pocket);

MUST_CHECK enum err pocket_add(struct pocket *pocket, const struct pocket_file *file);

/* Once all were added: what was asked for first, and then what is small; each once. */
void pocket_sort(struct pocket *pocket);

/* Bytes of all chunks, sealed as they are. */
uint64_t pocket_bytes(const struct pocket *pocket);

bool pocket_is_done(const struct pocket *pocket);

/* Build what comes next; it stays next. Not when it is done. Between replica_begin_read and replica_end_read. ERR_ABSENT: the file is not
 * here any more, or nothing names it. ERR_CORRUPT: damaged. ERR_IO, ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err pocket_build(const struct pocket *pocket, struct replica *replica, struct buf *bytes,
                                 struct pocket_piece *out);

/* Go on behind it. True: that was the last piece of its file. */
bool pocket_step(struct pocket *pocket);

/* Give the file up that is being read. */
void pocket_skip(struct pocket *pocket);

/* What follows goes into another volume. */
void pocket_begin_volume(struct pocket *pocket);
