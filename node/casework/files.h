/* files.h - the files that a record names, as its two halves say it together.
 *
 *     evidence[3f09a1c2]   case half: address, size, media type     protected half: name, key
 *     attachment[…]        the same of any other record
 *
 * A file that may show somebody has its key in the protected half: who reads the case half alone sees that there is a file,
 * and may hold and pass it on, and cannot open it. Pure: everything is read from the view.
 */
#pragma once

#include "store/blob.h"
#include "sync/replica.h"

struct case_file {
    uint32_t collection; /* COLLECTION_EVIDENCE or COLLECTION_ATTACHMENT */
    uint8_t element[ELEMENT_ID_BYTES];
    struct hash address;
    uint64_t size;     /* 0: not said, or by two in two ways */
    bool readable;     /* `key` is here */
    bool shows_nobody; /* the key is in the open half */
    struct blob_key key;
    struct span name; /* CBOR as shown; data is NULL where there is none, or where it may not be read */
    struct span media_type;
    struct span caption;
    struct span derivation;
};

/* The numbers of the fields of either collection. */
struct file_fields {
    uint32_t file;
    uint32_t size;
    uint32_t media_type;
    uint32_t name;
    uint32_t key;
    uint32_t open_key;
    uint32_t caption;    /* 0: none */
    uint32_t derivation; /* 0: none */
};

/* NULL: not a collection of files. */
const struct file_fields *file_fields(uint32_t collection);

/* Every element of a record that is present and names a file, in the order of the view. At most `room` are given; gives how many there
 * are. The view must outlive them, and be of both halves where both are read. Wipe what was given: keys are in it. */
size_t files_of(const struct replica_view *view, struct case_file *out, size_t room);

/* The one whose address, in hex, begins so; or the only one there is, for NULL. *count_out: how many fit. NULL: none, or several. */
const struct case_file *files_find(const struct case_file *files, size_t count, const char *typed,
                                   size_t *count_out);
