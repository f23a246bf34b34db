/* bundle_import.h - taking bundles in: every whole chunk goes through the one door, and a report says what became of all of it.
 *
 *     files --> probe each: who opens it, which volume
 *           --> a pass over them, in order of their numbers --> chunks --> sink (the door)
 *           --> again, while a pass brought something new and something still waits for more
 *           --> report
 *
 * Nothing is written to a file and nothing is kept of one but what was taken in: that is held already when it comes again, so an
 * import that was cut off is simply run again. What waits for another volume is not put aside either: it would lie in a file
 * of this node that no erasure reaches. Volumes may come in any order, twice, damaged, or cut short; what is whole is
 * used. Memory is the same whatever a file holds. No system call: files are sources of the caller.
 */
#pragma once

#include "sync/bundle_contact.h"
#include "sync/parcel.h"

enum {
    BUNDLE_FILES_MAX = 1024,
    BUNDLE_PASSES_MAX = 16,       /* over all files: what needs more waits for the next import */
    BUNDLE_TOUCHED_MAX = 1 << 14, /* files of which it is known at the end whether all is here */
};

/* A file. Reading gives at most `room` bytes, none only at its end; what cannot be read of it is left out. */
struct bundle_source {
    void *self;
    enum err (*read)(void *self, uint8_t *out, size_t room, size_t *size_out);
    enum err (*rewind)(void *self);
};

/* Where chunks go. NULL in an inspection. */
struct bundle_sink {
    void *self;
    /* As gossip_store.take. `exporter` is zero where nobody vouches for the bundle. */
    void (*take)(void *self, const struct hash *exporter, const struct gossip_log *log, struct span chunk,
                 struct taken *taken_out);
    /* True if the turn holds as much as it should. */
    bool (*is_full)(void *self);
    /* As parcel_take_have and parcel_take_carried. */
    bool (*take_have)(void *self, const struct hash *device_id, const struct ident *compartment,
                      const struct blob_have_item *item);
    enum parcel_verdict (*take_file)(void *self, const struct ident *compartment,
                                     const struct blob_part *part);
};

/* What a file turned out to be. */
enum bundle_file_state {
    BUNDLE_FILE_UNREAD = 0,
    BUNDLE_FILE_GOOD,    /* it opens */
    BUNDLE_FILE_LOCKED,  /* it is sealed to others */
    BUNDLE_FILE_NONE,    /* no head of a bundle is whole in it */
    BUNDLE_FILE_FOREIGN, /* of another organisation; nothing was taken */
    BUNDLE_FILE_FAILED,  /* it could not be read to its end: `err` */
};

/* Who made it, as far as is known here. */
enum bundle_maker {
    BUNDLE_MAKER_UNKNOWN = 0, /* no manifest was whole, or no certificate of that device is here */
    BUNDLE_MAKER_MEMBER,
    BUNDLE_MAKER_REVOKED, /* its chunks stand for themselves; what it says of itself is not believed */
    BUNDLE_MAKER_FORGED,  /* the manifest is not signed by whom it names, or is of another bundle: likewise */
};

struct bundle_file {
    enum bundle_file_state state;
    enum err err;
    struct ident bundle_id;
    uint32_t volume;
    enum bundle_maker maker;        /* as it is known once all is read */
    uint8_t sign_pk[SIGN_PK_BYTES]; /* who signed the manifest; zero: none that is authentic was whole */
    struct hash exporter;           /* the device of that key; likewise */
    uint64_t made_ms;               /* by its clock; likewise, and what follows */
    enum bundle_content content;
    size_t destination_count;
    bool whole; /* of each volume in it its end was read, and all of its parts, and no byte was damaged */
    bool last;  /* it said that no volume follows */
    struct bundle_reading reading; /* of the first pass */
    uint64_t entries;              /* in its chunks */
    uint64_t file_bytes;           /* of chunks of files, sealed as they are */
    uint64_t parts_unknown;        /* of a later version: passed over */
};

/* What became of chunks of files. */
struct bundle_file_counts {
    uint64_t taken; /* new here */
    uint64_t held;  /* that were here already */
    /* of the last pass */
    uint64_t refused;  /* pieces that are not of the file that they name, or of none */
    uint64_t waiting;  /* for the head or page that verifies them, which is damaged or in another volume */
    uint64_t unwanted; /* no entry here names the file, or it was put away here */
    uint64_t full;     /* there was no room on the disk */
};

/* Count what became of a piece. Heads and pages count only where they are refused: they come more than once. */
void bundle_file_counts_add(struct bundle_file_counts *counts, enum blob_piece piece,
                            enum parcel_verdict verdict);

/* What became of entries. */
struct bundle_counts {
    uint64_t taken; /* new here */
    uint64_t held;  /* that were here already */
    /* of the last pass, by enum later: what every replica would refuse is in the others */
    uint64_t later[LATER_COUNT];
    uint64_t forked;    /* behind an entry that is not the one here: the branch below it is missing */
    uint64_t malformed; /* chunks */
    uint64_t forged;    /* chunks */
    struct bundle_file_counts files;
};

/* How the files stand of which pieces came, as it is now. */
struct bundle_files_here {
    uint64_t whole;
    uint64_t partly;
    uint64_t chunks_missing; /* of those that are here in part */
};

/* How far we are from what an exporter had of a compartment, by its own word. */
struct bundle_standing {
    struct ident compartment;
    bool equal;       /* the same entries are here */
    uint64_t missing; /* entries that it has and we lack, at least */
};

struct bundle_import;

/* `sources` outlive the import; `sink` may be NULL: nothing is taken, each file is read to its end and counted. ERR_MEMORY. */
MUST_CHECK enum err bundle_import_open(struct bundle_import **import_out, struct replica *replica,
                                       const struct bundle_source *sources, size_t count,
                                       const struct bundle_sink *sink);

/* True if the next step takes chunks in: it wants a turn. */
bool bundle_import_wants_turn(const struct bundle_import *import);

/* One slice: about 1 MiB. *done_out: all is read. Errors of a file are noted in it, and end nothing. ERR_MEMORY. */
MUST_CHECK enum err bundle_import_step(struct bundle_import *import, bool *done_out);

/* The turn of the last step ended. Not durable: what it counted is forgotten, and what it took is read once more. */
void bundle_import_turn_ended(struct bundle_import *import, bool durable);

/* Once all is read: keep what the exporters said they have, for the next bundle to them, and log how much was forged, malformed or of
 * another maker than its file says. Outside of a turn; it is written with the next one. */
void bundle_import_keep(struct bundle_import *import);

const struct bundle_file *bundle_import_file(const struct bundle_import *import, size_t n);
struct bundle_counts bundle_import_counts(const struct bundle_import *import);

/* Lend how we stand to what the exporters had, as it is now: ascending by compartment, of several exporters the one that has most
 * that is missing. ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err bundle_import_standing(struct bundle_import *import,
                                           const struct bundle_standing **standing_out, size_t *count_out);

/* Once all is read: how the files stand of which it brought pieces, the first BUNDLE_TOUCHED_MAX of them. Errors of the tables. */
MUST_CHECK enum err bundle_import_files_here(struct bundle_import *import, struct bundle_files_here *out);

/* Once all is read: what it shows a replica that was restored. ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err bundle_import_contact(struct bundle_import *import, enum bundle_contact *contact_out);

/* Bytes read so far, of all passes. */
uint64_t bundle_import_bytes(const struct bundle_import *import);

/* Takes none. */
void bundle_import_close(struct bundle_import **import);
