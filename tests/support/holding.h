/* holding.h - a replica for tests of gossip: real signed chunks, held in memory.
 *
 * It keeps trees of entries as the journal does, checks chunks as the door does (shape, chain,
 * signature), and can be made to refuse an author, to be full, or to serve a log no more. What it keeps it
 * never opens: payloads are random bytes. Files are of a few chunks, whose bytes follow from their addresses.
 */
#pragma once

#include "sync/gossip.h"
#include "sync/update.h"
#include "tests/support/chance.h"

enum {
    HOLDING_PARTS_MAX = 8,
    HOLDING_PEERS_MAX = 8,
    HOLDING_FILES_MAX = 8,
    HOLDING_CHUNKS_MAX = 8,
    HOLDING_MARKS_MAX = 512,
};

/* An entry that is of a record, by the record's number; `hint`: it calls that urgent. */
struct held_mark {
    struct hash log_id;
    uint64_t seq;
    uint32_t record;
    bool hint;
};

/* A file that is named here. */
struct held_file {
    struct hash address;
    uint8_t part; /* the compartment's name */
    uint32_t chunk_count;
    bool head;
    bool page;
    uint32_t chunks;  /* bit n: chunk n is here */
    uint64_t came;    /* whole, at this change; 0: it is not */
    uint32_t holders; /* bit n: device n of `peers` said that it holds it */
};

struct held_entry {
    struct entry entry; /* payload owned, or NULL */
    size_t parent;      /* place in the log's entries; SIZE_MAX at seq 0 */
    size_t child_count;
    struct run run; /* up to and with this entry */
    bool has_signature;
    uint8_t signature[SIGNATURE_BYTES];
};

struct held_log {
    struct gossip_log log;
    struct held_entry *entries;
    size_t count;
    size_t capacity;
    size_t root_count; /* entries of seq 0 */
    bool unreadable;
};

struct holding_part {
    struct ident id;
    struct frontier frontier;
    uint8_t flags;
    uint32_t shared_with; /* bit n: device n of `peers` */
};

struct kept_checkpoint {
    struct hash device_id;
    struct ident compartment;
    uint32_t slot;
    struct buf bytes;
};

struct holding {
    struct gossip_store store; /* self is this */
    struct gossip_files files; /* likewise */
    struct held_file file_list[HOLDING_FILES_MAX];
    size_t file_count;
    uint64_t file_changes;
    struct held_mark marks[HOLDING_MARKS_MAX];
    size_t mark_count;
    struct hash device_id;
    struct held_log **logs; /* sorted by log_id */
    size_t log_count;
    size_t log_capacity;
    struct holding_part parts[HOLDING_PARTS_MAX];
    size_t part_count;
    struct hash peers[HOLDING_PEERS_MAX];
    size_t peer_count;
    struct kept_checkpoint *checkpoints;
    size_t checkpoint_count;
    uint8_t refused_author[SIGN_PK_BYTES]; /* zero: none */
    uint8_t cut_author[SIGN_PK_BYTES];     /* the logs of this author end ...; zero: nobody's do */
    uint64_t cut_next;                     /* ... before this seq, and what lies beyond is kept apart */
    uint32_t admins;                       /* bit n: device n of `peers` has admin everywhere */
    uint32_t erased_bytes;                 /* entries with a payload of this size were erased; 0: none */
    bool full;
    bool wants_all; /* of long entries somebody here asks for the payload */
    bool invisible; /* nothing becomes visible */
    /* what happened */
    uint64_t taken_count;
    uint64_t seen_count;
    uint64_t refused_count;
    uint64_t forged_count;
    uint64_t read_count;
    uint64_t looked_count; /* entries that were looked at for hints */
    uint64_t ends_count;   /* records whose ends were asked for */
    uint64_t ended_count;
    uint64_t hang_up_count;
    uint32_t last_ended;
    uint64_t agreed_count;
    uint64_t agreed_entries; /* of `control` that were here the first time */
    struct hash last_agreed;
};

void holding_init(struct holding *holding, const struct hash *device_id);
void holding_free(struct holding *holding);

/* Add a compartment; its id is made of `name`. */
struct holding_part *holding_add(struct holding *holding, uint8_t name);
struct holding_part *holding_part(struct holding *holding, uint8_t name);

/* Share a compartment with a device, or no longer. */
void holding_share(struct holding *holding, uint8_t name, const struct hash *device_id, bool shared);

/* The log of an author in a compartment and a lane. */
void holding_log(struct gossip_log *log_out, const struct key_pair *author, uint8_t name, uint8_t lane);

/* Write the next entry after the log's highest seq; gives its seq. */
uint64_t holding_write(struct holding *holding, const struct key_pair *author, const struct gossip_log *log,
                       uint32_t payload_bytes, struct chance *chance);

/* Write an entry after `parent_seq` (the first of that seq): a fork, if that has a child. UINT64_MAX: at seq 0. */
void holding_fork(struct holding *holding, const struct key_pair *author, const struct gossip_log *log,
                  uint64_t parent_seq, uint32_t payload_bytes, struct chance *chance);

/* End the logs of an author before `next`: what lies beyond is in no frontier, and only admins are given it. */
void holding_cut(struct holding *holding, const struct key_pair *author, uint64_t next);

/* Give a device admin everywhere. */
void holding_admin(struct holding *holding, const struct hash *device_id);

/* Say that an entry is of a record, whether it is here yet or not. At most HOLDING_MARKS_MAX. */
void holding_mark(struct holding *holding, const struct gossip_log *log, uint64_t seq, uint32_t record,
                  bool hint);

struct held_log *holding_find(struct holding *holding, const struct hash *log_id);

/* Erase the entries whose payloads have this size, and know that those that come later were erased too. */
void holding_erase(struct holding *holding, uint32_t payload_bytes);

/* Name a file, by its number, in a compartment; `here`: it is here whole. Not more than HOLDING_FILES_MAX, and at most
 * HOLDING_CHUNKS_MAX chunks. */
void holding_name_file(struct holding *holding, uint8_t part, uint8_t number, uint32_t chunk_count,
                       bool here);

/* It is named here no more. */
void holding_drop_file(struct holding *holding, uint8_t number);

/* True if all of it is here. */
bool holding_has_file(const struct holding *holding, uint8_t number);

/* All entries, and whether each has its payload. */
size_t holding_entries(const struct holding *holding, size_t *without_payload_out);
