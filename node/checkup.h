/* checkup.h - what is wrong with a node: rules over what was found out about it, and a code for each thing that may be.
 *
 *     store, peers, clocks, keys: serve_doctor.c --+
 *                                                  +--> facts --> a line for each check: well, not known, or what was found
 *     the state directory: surroundings.h ---------+
 *
 * A code never changes its meaning and is never used again; vigil(1) lists them all. What could not be looked at is said, and is
 * neither well nor a finding. Pure.
 */
#pragma once

#include "node/confinement.h"
#include "node/surroundings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is looked at, in the order in which it is told. */
enum checkup_check {
    CHECK_NODE,
    CHECK_MODES,
    CHECK_VOLUME,
    CHECK_DISK,
    CHECK_CONFIGURATION,
    CHECK_STORE,
    CHECK_VERIFY,
    CHECK_MAP,
    CHECK_READERS,
    CHECK_PROCESS,
    CHECK_CLOCK,
    CHECK_CERTIFICATE,
    CHECK_EPOCHS,
    CHECK_NETWORK,
    CHECK_PEERS,
    CHECK_FORKS,
    CHECK_HELD,
    CHECK_WAITING,
    CHECK_ERASURES,
    CHECK_FILES,
    CHECK_SEARCH,
    CHECK_COUNT
};

enum checkup_severity {
    SEVERITY_NOTE,    /* to be known; the node is well for all that */
    SEVERITY_WARNING, /* somebody should do something */
    SEVERITY_ALARM,   /* now */
};

enum checkup_code {
    CODE_NODE_STOPPED,
    CODE_NODE_SILENT,
    CODE_MODE_OPEN,
    CODE_OWNER_FOREIGN,
    CODE_VOLUME_PLAIN,
    CODE_DISK_LOW,
    CODE_RESERVE_SPENT,
    CODE_CONFIG_WRONG,
    CODE_ROWS_DAMAGED,
    CODE_LOG_DAMAGED,
    CODE_DAMAGE_NOTED,
    CODE_RESTORED,
    CODE_REBUILDING,
    CODE_VERIFY_NEVER,
    CODE_VERIFY_FINDINGS,
    CODE_SCRUB_FINDINGS,
    CODE_MAP_FULL,
    CODE_READER_DEAD,
    CODE_READER_BEHIND,
    CODE_SANDBOX_OFF,
    CODE_CORE_DUMPS,
    CODE_MEMORY_UNLOCKED,
    CODE_CLOCK_CERTIFICATE,
    CODE_CLOCK_APART,
    CODE_CERTIFICATE_NONE,
    CODE_DEVICE_REVOKED,
    CODE_CERTIFICATE_ENDING,
    CODE_EPOCH_OLD,
    CODE_EPOCH_NONE,
    CODE_NET_DOWN,
    CODE_NET_SANDBOX,
    CODE_NET_DOOR_OPEN,
    CODE_NET_FORBIDDEN,
    CODE_NET_MALFORMED,
    CODE_NET_STARTER_GONE,
    CODE_LISTEN_FAILED,
    CODE_FILES_SPENT,
    CODE_DOOR_CROWDED,
    CODE_DOOR_REFUSED,
    CODE_PEERS_TOO_MANY,
    CODE_CALL_IMPOSSIBLE,
    CODE_MESSAGES_DROPPED,
    CODE_METRICS_UNSERVED,
    CODE_PEER_UNREACHABLE,
    CODE_PROXY_FAILED,
    CODE_PEER_REFUSED,
    CODE_SCHEDULE_ALONE,
    CODE_SCHEDULE_BUDGET,
    CODE_PEER_NONE,
    CODE_FORK_OWN,
    CODE_FORK,
    CODE_SET_BACK,
    CODE_HELD_OWN,
    CODE_HELD,
    CODE_QUARANTINE_FULL,
    CODE_UPGRADE_NEEDED,
    CODE_KEYS_MISSING,
    CODE_TEXTS_MISSING,
    CODE_ERASE_NEEDS_DISK,
    CODE_ERASE_SECOND,
    CODE_FILES_REFUSED,
    CODE_FILES_MISSING,
    CODE_INDEX_BEHIND,
    CODE_COUNT
};

/* What is always true of a code. */
struct checkup_kind {
    const char *code; /* "disk-low" */
    enum checkup_check check;
    enum checkup_severity severity;
    const char *cause; /* why it comes to this: a sentence without a full stop */
    const char *next;  /* what to do */
};

/* By enum checkup_code. */
const struct checkup_kind *checkup_kind(enum checkup_code code);

/* "note", "warning", "alarm"; "store" and so on. */
const char *checkup_severity_name(enum checkup_severity severity);
const char *checkup_check_name(enum checkup_check check);

enum { CHECKUP_WORDS_BYTES = 320 };

enum checkup_state { CHECKUP_WELL, CHECKUP_UNKNOWN, CHECKUP_FOUND };

/* A line of the checklist. A check has several where several things were found. */
struct checkup_line {
    enum checkup_check check;
    enum checkup_state state;
    const struct checkup_kind *kind; /* NULL unless something was found */
    char what[CHECKUP_WORDS_BYTES];  /* how it is here, or why it is not known */
};

/* Who is told the lines, in their order. */
struct checkup_sink {
    void *self;
    void (*line)(void *self, const struct checkup_line *line);
};

/* Say something of a check that a caller has looked at by itself. `format` as for printf; what is too long is cut. */
void checkup_well(const struct checkup_sink *sink, enum checkup_check check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void checkup_unknown(const struct checkup_sink *sink, enum checkup_check check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void checkup_found(const struct checkup_sink *sink, enum checkup_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- the state directory --- */

void checkup_surroundings(const struct checkup_sink *sink, const struct surroundings *here);

/* --- what only the node knows --- */

/* A peer of this node, or one that it calls. */
struct checkup_peer {
    const char *name;
    bool up;
    bool calls_us;               /* we have no address of it: where it is, is its own affair */
    bool rests;                  /* its line is one that does not stand, and it is not its time */
    bool refused;                /* the session ended with an error */
    bool unanswered;             /* it was called long enough ago, and did not answer */
    bool proxy_failed;           /* it was to be called through a proxy, and that is what failed */
    const char *why;             /* the reason of the last failure, in words; "": none */
    uint64_t heard_ms;           /* wall clock of the last contact; 0: never */
    uint64_t waiting_in;         /* entries */
    uint64_t waiting_out;        /* entries */
    bool schedule_alone;         /* this node sends to it by a schedule, and it answers by none */
    uint64_t schedule_day_bytes; /* what a schedule takes in a day, both ways; 0: it is sent to by none */
    uint64_t day_bytes;          /* what may pass in one; 0: no limit */
    uint64_t month_bytes;        /* and in a month */
};

/* A key that a compartment is sealed with. */
struct checkup_epoch {
    const char *compartment;
    bool none;       /* there is none in force */
    bool known;      /* this node has looked at it: */
    uint64_t age_ms; /* since then */
};

struct checkup_fork {
    const char *device; /* who signed two entries of one number */
    const char *compartment;
    uint64_t seq;
    bool own;
};

/* The net process, and what it told. Numbers count from the start of the node on. */
struct checkup_net {
    bool runs;
    bool starter_gone;     /* nothing can be started again */
    bool no_sandbox;       /* it ended, since it was to have a sandbox and cannot */
    bool sandbox_in_part;  /* the one that runs has one that is not whole */
    bool memory_unlocked;  /* and keeps its key in memory that may be swapped */
    bool cannot_listen;    /* at the address of node.conf */
    bool metrics_unserved; /* likewise */
    uint64_t doors_open;   /* times that its self-test let a stranger in */
    uint64_t forbidden;    /* times that it made a call that it never makes */
    uint64_t malformed;    /* times that it told what it never tells */
    uint64_t files_spent;
    uint64_t crowded;   /* connections beyond the most that may stand */
    uint64_t refused;   /* connections and messages at the door, those included */
    uint64_t strangers; /* of them, with a key that is not on the roster */
    uint64_t peers_too_many;
    uint64_t calls_impossible;
    uint64_t messages_dropped;
};

/* Sums are of the whole node. What is lent lives as long as the judging takes. */
struct checkup_facts {
    uint64_t now_ms; /* wall clock, which may be wrong */
    bool restored;   /* from a backup, and shows no record yet */
    bool rebuilding;
    uint64_t entries;
    uint64_t records;
    uint64_t corrupt_rows; /* that did not verify since the node was started */
    uint64_t damaged_logs; /* of which something could not be read */

    bool verified; /* vigild verify went through all of it once: */
    uint64_t verified_ms;
    uint64_t verify_findings;
    uint64_t scrub_ended_ms; /* the last pass of the running node; 0: there was none */
    uint64_t scrub_findings; /* of it */
    uint64_t scrub_rows;     /* of the pass that is under way: read */
    uint64_t scrub_found;    /* and found damaged */
    uint64_t damage_noted;   /* entries that are asked for since they are damaged here */

    uint64_t map_used; /* bytes */
    uint64_t map_bytes;
    bool map_full; /* a transaction did not fit, and it could not grow */

    bool readers_known;
    uint32_t readers;
    uint32_t readers_dead;   /* of processes that are no more; they were cleared */
    uint64_t readers_behind; /* commits since the oldest began */

    bool memory_locks;
    struct confinement confinement;
    const char *sandbox_missing; /* a phrase; NULL: it is whole, or not known to be anything else */

    bool certified; /* this device's certificate counts */
    bool revoked;
    uint64_t until_s;       /* its end */
    uint64_t clocks_apart;  /* devices whose stamps are ahead of our clock */
    const char *apart_most; /* the device that is furthest ahead; "" */
    uint64_t apart_most_s;  /* by so much */
    uint64_t newer_statements;

    const struct checkup_epoch *epochs;
    size_t epoch_count;

    struct checkup_net net;
    const struct checkup_peer *peers;
    size_t peer_count;

    const struct checkup_fork *forks; /* that nobody has dealt with */
    size_t fork_count;
    uint64_t lost_tails;   /* pieces of own logs that peers gave back */
    uint64_t incarnations; /* begun because the database was older than what this device had signed */
    uint64_t set_back_peers;

    uint64_t held; /* entries that are kept and do not count */
    uint64_t held_own;
    uint64_t limits; /* times that a limit put entries off */

    uint64_t wait_key;
    uint64_t wait_schema;
    uint64_t wait_text;

    uint64_t erase_needs;   /* bytes of free disk that rewriting waits for; 0: none */
    uint64_t erase_waiting; /* orders that lack a signature */

    uint64_t files_here;
    uint64_t files_wanted;
    uint64_t files_wanted_bytes;
    uint64_t files_refused; /* pieces that were not of their file */

    bool search_known; /* there can be an index */
    uint64_t search_left;
};

enum {
    CHECKUP_EPOCH_DAYS = 90,       /* an admin makes a new one by then */
    CHECKUP_CERTIFICATE_DAYS = 30, /* time to carry a request to the ceremony and back */
};

/* Every check from CHECK_STORE on. */
void checkup_node(const struct checkup_sink *sink, const struct checkup_facts *facts);
