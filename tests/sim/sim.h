/* sim.h - a whole organisation in one process: the very same store and sync, in a simulated world.
 *
 *     seed --> shape (ceremony) --> nodes (replica + gossip) --- links (delay, cut, split)
 *          --> people (saves, remembered) --> faults (disk, crash, restore, a hostile device)
 *          --> heal --> quiet --> invariants
 *
 * Everything that happens follows from the seed: a run is replayed by its number. Time is
 * virtual; chance comes from generators of the simulator; the disk is a directory of a memory file
 * system. What is checked is computed by code of the simulator's own wherever it can be.
 */
#pragma once

#include "store/base/world.h"
#include "sync/replica.h"
#include "tests/support/chance.h"

#include <stdio.h>

enum {
    NODES_MAX = 12, /* but where it grows */
    OFFICES_MAX = 128,
    SMALL_OFFICES = 6,
    COMPARTMENTS_MAX = 2 + OFFICES_MAX * OWN_COUNT,
    SHAPES = 8, /* organisations that the seeds share: a ceremony is slow by design */
    STEPS = 3,  /* what was certified at first, then a device more, then a level more */
    LINKS_MAX = NODES_MAX * NODES_MAX,
    RECORDED_MAX = 64,
    GROWN_HUB_DEVICES = 50,
    GROWN_OFFICE_DEVICES = 10,
};

#define L3_MARKER "L3MARK"

/* --- organisation.c --- */

struct shape_compartment {
    struct ident id;
    int office; /* -1: control or shared */
    int own;    /* enum own_compartment; 0 control and 1 shared where office is -1 */
};

struct shape_device {
    char name[16];
    int office;
    enum level own_level; /* in what its office owns or, in `everywhere`, in all offices' */
    bool everywhere;
    int reads_office; /* -1, or the one office whose cases it may read as well */
    enum level other; /* elsewhere, if not `everywhere` */
    int joins;        /* the step that certifies it */
    enum level later; /* own_level from the last step on; LEVEL_NONE: as before */
    bool hostile;     /* no node: see mallory.c */
    bool forger;      /* hostile, and may write: see forger.c */
    struct replica_identity identity;
    struct request request;
    struct key storage_key;
    struct buf welcome; /* its founding statements */
    uint8_t certificate[8];
};

struct shape {
    uint64_t number;
    size_t office_count;
    const char *offices[OFFICES_MAX];
    struct shape_compartment compartments[COMPARTMENTS_MAX];
    size_t compartment_count;
    struct shape_device *devices;
    size_t device_count;
    size_t device_max;
    bool large;
    struct buf founding;    /* where it is large: what every welcome holds */
    struct buf news[STEPS]; /* all statements after each step */
    struct hash org;
    struct key_pair root;
    struct key_pair office_keys[OFFICES_MAX];
};

/* Hold the ceremonies of one organisation, in a directory that is removed again. */
void shape_make(struct shape *shape, uint64_t number, const char *directory);
/* The same with so many devices, 10 or more: one of headquarters, hubs that carry everything, one for GROWN_HUB_DEVICES
 * others, and offices of GROWN_OFFICE_DEVICES. Everybody is certified at once. */
void shape_make_large(struct shape *shape, size_t device_count, const char *directory);
void shape_free(struct shape *shape);
const struct shape_compartment *shape_compartment(const struct shape *shape, const struct ident *id);
const struct shape_compartment *shape_compartment_of(const struct shape *shape, int office, int own);

/* The level that the ceremony gave, as the simulator knows it: `step` steps were taken. */
enum level shape_level(const struct shape *shape, size_t device, const struct shape_compartment *compartment,
                       int step);

/* --- the simulation --- */

/* Who looks at the records that the places name, and at no other. */
struct sim_follower {
    uint64_t place;       /* the last one looked at */
    struct hash *records; /* by record_no: a hash over its rows as they were then */
    size_t capacity;
};

struct sim_node {
    struct sim *sim;
    size_t index;
    const struct shape_device *device;
    struct world world;
    struct chance chance; /* of world.random */
    char directory[200];
    char image[200]; /* an old copy of the directory; "": none */
    int64_t skew_ms;
    uint64_t steady_ms; /* of its clock at our time 0 */
    enum link_profile profile;
    size_t map_bytes;
    bool joined; /* has its welcome */
    bool founded;
    bool restored; /* its disk was replaced by an older one */
    bool set_back; /* that, or its databases alone were */
    bool anchored; /* its anchor file was seen, in this incarnation the first time */
    uint8_t incarnation[8];
    struct replica *replica; /* NULL: it is down */
    struct gossip *gossip;
    uint64_t up_ms; /* when it comes up again */
    uint64_t generation;
    bool tend_due;
    bool flush_due;
    uint64_t flush_ms;
    uint64_t tick_ms;
    uint64_t look_ms; /* at the latest it is asked again whether it has anything to do */
    uint64_t save_ms; /* of its people's next save */
    unsigned burst;
    int import_step;     /* 0: none; news to take in at the next turn */
    bool statements_due; /* what was signed since is to be taken in at the next turn */
    bool rotate_due;     /* its operator wants new epochs */
    bool gone;           /* revoked, and switched off for good */
    /* faults */
    unsigned disk_in;  /* steps until one fails; 0: none does */
    enum err disk_err; /* with this */
    uint64_t full_until_ms;
    bool crash_in_turn;    /* before it is committed */
    bool crash_after_save; /* once its turn is, and before anything else */
    bool fails_in_save;    /* between its two commits */
    bool fails_at_order;   /* once, at a step of the next order that it works off */
    uint64_t stop_ms;      /* said goodbye, and goes down then; 0: did not */
    uint64_t away_ms;
    bool mute; /* its people rest */
    struct sim_follower follower;
    struct sim_conn **conns; /* those with an end here, in the order of the simulation's */
    size_t conn_count;
    size_t conn_max;
};

struct sim_frame {
    uint64_t arrive_ms;
    struct buf bytes;
    bool flipped; /* a chunk frame with a bit changed: it must be refused */
};

/* One way of a connection. */
struct sim_way {
    struct sim_frame *frames; /* a queue: first to count */
    size_t first;
    size_t count;
    size_t capacity;
    size_t bytes;
    uint64_t busy_ms; /* when the line is free again */
};

struct sim_end {
    int node; /* -1: the hostile device */
    uint32_t number;
    bool up;             /* gossip was told so */
    uint64_t down_at_ms; /* when it notices that the connection is gone; 0: it is not */
};

struct sim_conn {
    size_t place;           /* in the simulation's list */
    struct sim_end ends[2]; /* 0 dialled */
    struct sim_way ways[2]; /* 0: from ends[0] */
    bool cut;
    int link; /* -1: none */
    uint64_t latency_ms;
    uint64_t bytes_per_s;
    size_t window;
    uint64_t introduced_count[2];
};

struct sim_link {
    int a;
    int b;
    bool split; /* nothing passes */
    bool both;  /* both ends dial */
    uint64_t latency_ms;
    uint64_t bytes_per_s;
    size_t window;
    uint64_t dial_ms[2];
};

/* What was promised when a save was acknowledged. */
struct promise {
    size_t node;
    struct ident compartment; /* of the cases */
    struct ident record_id;
    uint32_t code;
    struct target target;
    struct buf value;
    uint64_t at_ms;
    bool excused; /* the disk it was on was replaced by an older one */
};

struct known_record {
    struct ident compartment;
    struct ident id;
    uint32_t kind;
};

/* An entry that the forger signed. */
struct forged {
    struct descriptor descriptor;
    struct hash log_id;
    uint64_t seq;
    struct hash id;
    struct hash prev;
    struct buf frame; /* as it was sent: to be sent again, elsewhere */
    struct buf bare;  /* the same with the hash in the place of the payload */
    bool no_right;    /* nobody may keep it */
    bool no_member;   /* it names `record_id` and its tag is not of it */
    struct ident record_id;
};

/* A revocation as the simulator knows it: cuts as they were signed, by (log_id, seq, entry_id). */
struct sim_cut {
    struct hash log_id;
    uint64_t seq;
    struct hash entry_id;
};

struct sim_revocation {
    size_t device;
    struct hash stmt_id;
    struct sim_cut *cuts; /* and those of its extensions */
    size_t cut_count;
    bool extended;
};

enum {
    FILES_MAX = 6,
    ERASURES_MAX = 8,
    FORGED_MAX = 200,
    REVOCATIONS_MAX = 8,
    SEALED_MAX = 8,
    SEALED_BYTES = 32
};

/* How far a node is with an order. */
struct sim_erasing {
    bool had_key; /* the record's, lastly in an environment of this generation */
    uint32_t generation;
    bool done; /* by its own receipt */
};

/* A record that was ordered to be erased, with the key that names its entries in each compartment. */
struct sim_erasure {
    struct ident order;
    struct ident record_id;
    struct ident compartments[2];
    struct key erase_keys[2];
    size_t count;
    uint8_t sealed[SEALED_MAX]
                  [SEALED_BYTES]; /* out of payloads that headquarters had: nobody is to have them */
    size_t sealed_count;
    struct sim_erasing nodes[NODES_MAX];
};

/* A file that somebody added to a record. */
struct sim_file {
    struct hash address;
    struct ident compartment;
    struct ident record_id;
    size_t node;
    uint64_t at_ms;
    bool pending; /* of the turn that is under way */
    bool excused; /* the disk it was on was replaced by an older one, or its device was revoked before */
};

struct sim_stats {
    uint64_t turns;
    uint64_t frames;
    uint64_t bytes;
    uint64_t saves;
    uint64_t refused_saves;
    uint64_t crashes;
    uint64_t failed_commits;
    uint64_t restores;
    uint64_t hostile_frames;
    uint64_t cuts;
    uint64_t entries;
    uint64_t conflicts;
    uint64_t forks;
    uint64_t forged;
    uint64_t revocations;
    uint64_t extensions;
    uint64_t rotations;
    uint64_t held;
    uint64_t orphans; /* entries whose key went with a disk */
    uint64_t erasures;
    uint64_t erased; /* entries, at headquarters */
    uint64_t sleeps;
    uint64_t files;
};

struct sim {
    uint64_t seed;
    struct chance chance; /* of what happens */
    const struct shape *shape;
    const char *directory;
    FILE *trace; /* NULL: quiet */
    uint64_t hash;
    uint64_t now_ms;
    int step; /* of the shape's, as far as anybody knows */
    bool chaos;
    bool metered; /* some lines are paid for by the byte while there is chaos */
    struct sim_node *nodes;
    size_t node_count;
    struct sim_link *links;
    size_t link_count;
    size_t link_max;
    struct sim_conn **conns;
    size_t conn_count;
    uint32_t next_number;
    struct promise *promises;
    size_t promise_count;
    struct promise *pending; /* of the turn that is under way */
    size_t pending_count;
    struct known_record *records;
    size_t record_count;
    struct buf recorded[RECORDED_MAX]; /* chunks with their descriptors, for the hostile device */
    size_t recorded_count;
    struct buf overheard[RECORDED_MAX]; /* whole frames of any type, as they were */
    size_t overheard_count;
    struct forged forged[FORGED_MAX];
    size_t forged_count;
    struct hash forger_epochs[COMPARTMENTS_MAX]; /* the last that it was boxed for */
    struct sim_revocation revocations[REVOCATIONS_MAX];
    size_t revocation_count;
    struct sim_erasure erasures[ERASURES_MAX];
    size_t erasure_count;
    struct chance file_chance; /* of files alone */
    struct sim_file files[FILES_MAX];
    size_t file_count;
    size_t file_max;        /* 0: nobody adds any */
    struct buf *statements; /* signed in this run: revocations, extensions, erasures */
    size_t statement_count;
    uint64_t next_value;
    uint64_t fault_ms;
    uint64_t mallory_ms;
    uint64_t forger_ms;
    struct sim_stats stats;
    void (*on_send)(struct sim *sim, struct sim_conn *conn, int way, struct span frame);
    void *on_send_self;
};

/* Say what is wrong and end the run: never returns. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* One event: into the trace and its hash. Names no number that differs between two runs. */
void sim_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Begin and end a world with the nodes of the shape. */
void sim_init(struct sim *sim, uint64_t seed, const struct shape *shape, const char *directory, FILE *trace);
void sim_free(struct sim *sim);

/* Go on until the next thing happens, and let it happen. */
void sim_pass(struct sim *sim);
/* Go on for so long. */
void sim_pass_until(struct sim *sim, uint64_t until_ms);

/* --- node.c --- */

void node_init(struct sim *sim, size_t index);
void node_free(struct sim_node *node);
/* Write its identity and make its directory: it has its welcome now. */
void node_join(struct sim_node *node);
/* Up again. False: its disk did not let it; tried again later. */
bool node_open(struct sim_node *node);
/* Everything in memory is gone at once, a turn that is under way with it. */
void node_crash(struct sim_node *node, uint64_t away_ms, const char *why);
/* Say goodbye to all, so that checkpoints are kept, and go down. */
void node_stop(struct sim_node *node, uint64_t away_ms);
/* Make everything derived anew, in the midst of life. */
void node_rebuild(struct sim_node *node);
void node_turn(struct sim_node *node);
/* When it has something to do by itself. */
uint64_t node_wake_ms(const struct sim_node *node);
bool node_is_up(const struct sim_node *node);
/* True if it never has a part in what must hold at the end: a hostile device, or one that was revoked. */
bool node_is_absent(const struct sim_node *node);
/* Keep a copy of its directory; put it in the place of what is there now. The node is down. Where only the databases
 * are replaced, it must see that by its anchor, and not fork. */
void node_keep_image(struct sim_node *node);
void node_restore_image(struct sim_node *node, bool only_databases);
struct frontier *node_frontier(struct sim_node *node, const struct ident *compartment);

/* --- network.c --- */

struct sim_conn *network_connect(struct sim *sim, int dialler, int listener, int link);
void network_cut(struct sim *sim, struct sim_conn *conn, const char *why);
void network_cut_node(struct sim *sim, int node, const char *why);
void network_dial(struct sim *sim);
void network_sweep(struct sim *sim); /* forget connections that both ends gave up */
bool network_send(struct sim *sim, int node, uint32_t number, struct span frame);
void network_put(struct sim *sim, struct sim_conn *conn, int way, struct span frame, bool flipped);
struct sim_conn *network_find(struct sim *sim, int node, uint32_t number, int *end_out);
/* The next frame for this end that has arrived; false: none. The caller frees it. */
bool network_take(struct sim *sim, struct sim_conn *conn, int end, struct sim_frame *frame_out);
uint64_t network_wake_ms(const struct sim *sim);
size_t network_in_flight(const struct sim *sim);

/* --- people.c --- */

/* Save something at this node, in its turn. */
void people_save(struct sim_node *node);
/* The turn was committed, or was not. */
void people_settle(struct sim *sim, bool committed);
void people_excuse(struct sim *sim, size_t node, uint64_t since_ms);
/* Of the latest saves of a node, is each one there? */
void people_look_back(struct sim_node *node);

/* --- files.c --- */

/* By chance: add a file to a record, in the turn of this node. */
void files_add(struct sim_node *node, const struct ident *compartment, const struct ident *record_id,
               uint32_t kind);
/* As people_settle and people_excuse, which call them. */
void files_settle(struct sim *sim, bool committed);
void files_excuse(struct sim *sim, size_t node, uint64_t since_ms);
/* True if everybody who may carry it holds each file. *lacks_out: who does not. */
bool files_are_everywhere(struct sim *sim, const struct sim_node **lacks_out);
/* That the node holds no file that it may not. */
void files_check(struct sim_node *node);

/* --- follower.c --- */

void follower_catch_up(struct sim_node *node); /* after a turn */
void follower_check(struct sim_node *node);    /* that it holds what is there */
void follower_forget(struct sim_node *node);   /* another disk, another order of arrival */

/* --- mallory.c --- */

void mallory_record(struct sim *sim, struct span frame);
void mallory_visit(struct sim *sim);
/* Take in one of its frames at a node, and see that what was changed is refused and counted. */
void mallory_receive(struct sim_node *node, uint32_t number, const struct sim_frame *frame);

/* A connection of the hostile device to a node that is up and would have it. NULL: it is not let in. */
struct sim_conn *mallory_connect(struct sim *sim, struct sim_node *node);
size_t mallory_device(const struct sim *sim);

/* --- forger.c --- */

/* Sign something wrong and hand it to somebody. */
void forger_act(struct sim *sim);
size_t forger_device(const struct sim *sim);
/* True if it signed this entry and may be why it waits: it is in the name of a record of which it is no member and which was
 * erased since, so that nobody has the key by which that could be told; or somebody was revoked, and the entry that
 * brought the record's key may lie behind the cut. */
bool forger_leaves_waiting(const struct sim *sim, const struct hash *device_id, const struct hash *entry_id);

/* --- trust.c --- */

size_t trust_device(const struct sim *sim, const char *name); /* SIZE_MAX: no such device */
/* Revoke a device, with cuts where headquarters' copy of its logs ends; hand that to somebody. */
void trust_revoke(struct sim *sim, size_t device);
/* Admit what headquarters holds beyond the cuts of one of the revocations. */
void trust_extend(struct sim *sim);
/* Order that a record be erased, by two devices of two offices. */
void trust_erase(struct sim *sim);
/* True if the record was ordered to be erased; if an entry is of what this order names, or of what any of them does. */
bool trust_is_erased(const struct sim *sim, const struct ident *record_id);
bool trust_is_named(const struct sim_erasure *erasure, const struct descriptor *descriptor,
                    const struct hash *log_id, const struct entry *entry);
bool trust_must_be_erased(const struct sim *sim, const struct descriptor *descriptor,
                          const struct hash *log_id, const struct entry *entry);
/* True if the device is revoked. */
bool trust_is_revoked(const struct sim *sim, size_t device);
/* Take in, in a turn, all that was signed in this run and is not known here. */
enum err trust_import(struct sim_node *node);
void trust_free(struct sim *sim);
/* What must hold at the end of what was revoked, at one node. */
void trust_check(struct sim_node *node);

/* --- watch.c --- */

/* Remember where the record's key is, and what of its payloads stands in the files of headquarters. */
void watch_order(struct sim *sim, struct sim_erasure *erasure);
/* A turn was committed: of an order that its node now says to be done with, nothing is left there. */
void watch_turn(struct sim_node *node);
/* Its disk is another's: what was seen there says nothing any more. */
void watch_forget(struct sim_node *node);
/* The end of the logs in which it would write next: what comes in from others must not move that. */
struct watched_logs {
    uint8_t incarnation[8];
    uint64_t entries;
};
struct watched_logs watch_logs(const struct sim_node *node);
void watch_received(struct sim_node *node, const struct watched_logs *before);
/* Nothing leaves that the anchor does not know of: asked before anything does. */
void watch_anchor(struct sim_node *node);
/* What must hold of all that at the end. */
void watch_check(struct sim_node *node);

/* --- check.c, oracle.c --- */

/* True when everybody is connected, complete and nothing is under way; else why not. */
bool check_settled(struct sim *sim, char *why, size_t why_size);
void check_all(struct sim *sim);
/* One view of each record among those who may read it, as the rules make it. */
void check_views(struct sim *sim);
void check_frame(struct sim *sim, const struct sim_conn *conn, int way, struct span frame);
/* The first file of the directory, or below it, that holds these bytes. False: none does. */
bool files_hold(const char *directory, struct span bytes, char *path_out, size_t path_size);

/* What a record must show, computed from its entries by the rules alone, compared with what the view shows. */
void oracle_compare(struct sim_node *node, struct table_txn *txn, uint32_t record_no,
                    const struct record_view *view);
/* True if an entry of this author says so of the record, in either half. */
bool oracle_says(struct sim_node *node, struct table_txn *txn, const struct promise *promise,
                 const struct hash *device_id);

/* --- run.c, lanes.c, growth.c --- */

/* One seed, once; gives the hash of its trace. */
uint64_t run_seed(uint64_t seed, const struct shape *shape, const char *directory, FILE *trace,
                  struct sim_stats *stats_out);
void lanes_run(const struct shape *shape, const char *directory, FILE *trace);
/* An organisation of so many nodes: a line of the table of how bytes and time grow. `verbose`: and bytes by frame. */
void growth_run(size_t device_count, uint64_t seed, const char *directory, bool verbose);
void growth_head(void);

/* --- restores.c --- */

enum restored_kind {
    RESTORED_NOTHING,
    RESTORED_BACKUP,    /* a backup, on a machine with nothing on it */
    RESTORED_DATABASES, /* an older copy of the databases: the anchor file stays */
    RESTORED_DISK,      /* an older copy of everything */
    RESTORED_KINDS
};

enum { RESTORES_A_WORLD = 20 };

/* Numbers only: one line of them goes from process to process. */
struct restores_stats {
    uint64_t restored;
    uint64_t restores[RESTORED_KINDS];
    uint64_t noticed_at_opening; /* older databases; the others lacked nothing that they had signed */
    uint64_t known_elsewhere;    /* older disks that lacked what a peer knew; each was noticed there */
    uint64_t peer_said;          /* by that peer, too; the others saw the fork */
    uint64_t entries;            /* signed */
    uint64_t again;              /* where another had been signed before */
    uint64_t branches;           /* at headquarters, at the end */
};

/* One seed, once: a world with RESTORES_A_WORLD restores. Gives the hash of its trace. */
uint64_t restores_run(uint64_t seed, const struct shape *shape, const char *directory, FILE *trace,
                      struct restores_stats *stats_out);

/* Remove a directory and all that is in it. */
void remove_tree(const char *path);
