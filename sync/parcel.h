/* parcel.h - files between two nodes, as the conversation asks and gives them; when to do which is gossip's to say.
 *
 *     held --> HAVE ------> take_have        the peer holds it, and an entry here names it
 *     take <-- BLOB <------ read             head, then pages, then chunks: each verified as it comes
 *     ask  --> ASK                           by the bitmap of what is not here
 *
 * A peer's word makes nobody keep a file: a reader wants what entries that it merged name, a carrier what a peer says of
 * an entry that is here, unreadable, and says in its header that it names one. A file is fetched from devices that said that they
 * hold it. How many chunks it has a reader knows from the entry. A carrier asks each device by what that one said, until a head
 * has come that gives the address, which is of the number too: so whoever says another one keeps nobody from the file. All functions run in a turn, or but for the takes between replica_begin_read and replica_end_read.
 */
#pragma once

#include "store/shelf.h"
#include "sync/message.h"

struct replica;

/* Of a file that is fetched over a wide area line, or goes along in a bundle, though nobody asked for it: 1 MiB. */
enum { PARCEL_SMALL_CHUNKS = 128 };

enum parcel_verdict {
    PARCEL_TAKEN,
    PARCEL_SEEN,    /* it is here already */
    PARCEL_REFUSED, /* it is not that of the file: the peer is wrong, or lies */
    /* no fault of the peer: */
    PARCEL_LATER,    /* its head or page is missing, or how many chunks the file has */
    PARCEL_UNWANTED, /* no entry here names it in this compartment, or it was put away here */
    PARCEL_FULL,     /* the disk is, or did not take it */
};

/* A look goes over a bounded number of files. */
enum parcel_look {
    LOOK_FOUND,
    LOOK_ON,    /* nothing among those: look again from the cursor on */
    LOOK_ENDED, /* there is no more */
};

/* The next file, in the order in which they came whole, behind *cursor (0: the first), which moves on, that an entry of the
 * compartment names. */
enum parcel_look parcel_held(struct replica *replica, const struct ident *compartment, uint64_t *cursor,
                             struct blob_have_item *item_out);

/* True if an entry of the compartment names it. */
bool parcel_is_named(struct replica *replica, const struct ident *compartment, const struct hash *address);

/* The number of its chunks, and an entry of the compartment that names it. ERR_ABSENT: none does, or it is not here whole. Errors of
 * the tables. */
MUST_CHECK enum err parcel_item(struct replica *replica, const struct ident *compartment,
                                const struct hash *address, struct blob_have_item *item_out);

/* A peer holds this. `device_id` NULL: nobody vouches for it, and only what entries say that are opened here is believed.
 * False: nothing here names it in this compartment, or the disk is full, and it was not noted. */
bool parcel_take_have(struct replica *replica, const struct hash *device_id, const struct ident *compartment,
                      const struct blob_have_item *item);

/* The same of what this node itself held when its backup was made. */
bool parcel_take_own(struct replica *replica, const struct ident *compartment,
                     const struct blob_have_item *item);

/* The next file behind *cursor (all zero: the first), which moves on, that is wanted in this compartment and that the device holds:
 * of at most `chunks_max` chunks, as the link's policy says, or one that somebody asked for, whatever its size. */
enum parcel_look parcel_wanted(struct replica *replica, const struct hash *device_id,
                               const struct ident *compartment, uint32_t chunks_max, struct hash *cursor,
                               struct shelf_blob *blob_out);

/* True while a file that was asked for is still wanted in this compartment. */
bool parcel_is_wanted(struct replica *replica, const struct ident *compartment, const struct hash *address,
                      uint32_t chunks_max);

/* Append an ASK for what is not here of it, as much as a frame holds. False: nothing is to be asked for, the file cannot be
 * begun, or the disk has no room for it; nothing was appended. */
MUST_CHECK bool parcel_ask(struct replica *replica, const uint8_t tag[TAG_BYTES],
                           const struct shelf_blob *blob, struct buf *out);

/* Append the bytes of one piece, which match; *chunk_count_out: of the whole file. ERR_ABSENT: it is not here, or no entry of this
 * compartment names it. ERR_CORRUPT: damaged; ask for it again. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err parcel_read(struct replica *replica, const struct ident *compartment,
                                const struct hash *address, enum blob_piece piece, uint32_t index,
                                struct buf *bytes_out, uint32_t *chunk_count_out);

/* Take a piece in. It is durable once the turn commits. */
enum parcel_verdict parcel_take(struct replica *replica, const struct ident *compartment,
                                const struct blob_part *part);

/* The same of a piece that came in somebody's pocket, and that nobody here asked for: if the disk has room for all of the file. */
enum parcel_verdict parcel_take_carried(struct replica *replica, const struct ident *compartment,
                                        const struct blob_part *part);
