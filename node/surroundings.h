/* surroundings.h - the place where a node keeps its state, looked at from outside: no key, no lock, nothing is changed.
 *
 *     DIR --+-- modes of it and of what is in it
 *           +-- the volume below it: /proc/self/mountinfo --> /sys/dev/block/M:N/dm/uuid, and what that lies on
 *           +-- room on its disk
 *
 * It works whether or not a node runs there, and is done by whoever asks: a node in its sandbox sees neither /proc nor /sys.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum { SURROUNDINGS_WORDS_BYTES = 256, SURROUNDINGS_NAMED_MAX = 4, SURROUNDINGS_NAME_BYTES = 64 };

enum volume_state {
    VOLUME_UNKNOWN,
    VOLUME_ENCRYPTED, /* by dm-crypt, wherever below it */
    VOLUME_PLAIN,     /* not by dm-crypt: a disk that encrypts by itself does not say so here */
};

struct surroundings_volume {
    enum volume_state state;
    char words[SURROUNDINGS_WORDS_BYTES]; /* "ext4 on sda2"; or why it is not known */
};

/* What has a mode or an owner that it must not have. */
struct surroundings_open {
    size_t count;
    char names[SURROUNDINGS_NAMED_MAX][SURROUNDINGS_NAME_BYTES]; /* the first ones, below DIR; cut */
};

struct surroundings {
    enum err
        seen; /* ERR_OK; ERR_ABSENT: there is no such directory; ERR_DENIED, ERR_IO: it cannot be looked at */
    uint64_t looked;                  /* at so many files and folders */
    struct surroundings_open open;    /* for others than their owner */
    struct surroundings_open foreign; /* another user's, or a symbolic link */
    struct surroundings_volume volume;
    bool room_known;
    uint64_t room_bytes;    /* left on the disk for us */
    uint64_t reserve_bytes; /* below which nothing but erasing is written: table_reserve_bytes */
    bool reserve_there;     /* the file that is kept for an erasure on a full disk */
};

/* Look at all of it. Whoever asks must own it. */
void surroundings_read(const char *directory, struct surroundings *out);

/* On which volume the absolute path `directory` lies. `root` stands before /proc and /sys: "" but in tests. */
void surroundings_find_volume(const char *root, const char *directory, struct surroundings_volume *out);

/* Of a volume that lies on both, each with a part of its bytes: one part in the clear shows that part, and what is not known may be one. */
enum volume_state surroundings_both(enum volume_state one, enum volume_state other);

/* The mount of a table as /proc/self/mountinfo has it that the absolute path lies in: the longest mount point that leads to it, and
 * of several the last. False: there is none. */
struct surroundings_mount {
    unsigned major;
    unsigned minor;
    char type[32];
    char source[128];
};
MUST_CHECK bool surroundings_find_mount(const char *table, const char *path, struct surroundings_mount *out);
