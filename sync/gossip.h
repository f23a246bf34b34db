/* gossip.h - the conversation with each peer: one state machine a connection.
 *
 *     we                          peer
 *      |--- HELLO, DIGEST -------->|      equal: done, a checkpoint is kept
 *      |<-------- HELLO, DIGEST ---|
 *      |--- FRONT ---------------->|      what I have
 *      |<--------------- FRONT ----|
 *      |--- CHUNK, CHUNK --------->|      what you lack
 *      |<------- ACK, CREDIT ------|      after commit
 *      |--- DIGEST --------------->|      verify
 *
 * No system call, no clock of its own: the owner hands in what arrived, commits, and
 * then lets the answers leave. Nothing is queued as bytes: a turn only notes what is
 * due, and gossip_flush builds it from the committed state, as far as the peer's
 * credit and the link's room allow; so memory is bounded whatever a peer does.
 *
 * A turn of the owner:  gossip_up/down/receive/changed ... gossip_tick, commit, gossip_flush.
 */
#pragma once

#include "sync/envelope.h"
#include "sync/frontier.h"
#include "sync/parcel.h"
#include "sync/verdict.h"

struct world;
struct gossip;

enum {
    GOSSIP_SHARED_MAX = 512,       /* compartments shared with one peer */
    GOSSIP_INTRODUCED_MAX = 65536, /* logs introduced in one session, then it begins anew */
};

/* What is kept of a peer and a compartment, by slot of gossip_store.load_checkpoint. */
enum {
    AGREED_SLOTS = 2,       /* 0 and 1: what both had */
    BUNDLE_KNOWN_SLOT = 2,  /* what it said in a bundle that it has: bundle_export.h */
    TOLD_SLOT = 3,          /* of which files it was told on a metered line */
    BUNDLE_WISHES_SLOT = 4, /* which files it asked for in a bundle: bundle_export.h */
};

/* A log as a peer introduced it. */
struct gossip_log {
    struct hash log_id;
    struct descriptor descriptor;
};

enum gossip_link {
    LINK_GOOD, /* the entry that prev names is here, or first_seq is 0 */
    LINK_GAP,  /* no entry at first_seq - 1 */
    LINK_FORK  /* there is one, and another one */
};

/* Which payloads a chunk brings. */
enum chunk_payloads {
    PAYLOADS_ALL = 0,
    PAYLOADS_NONE,  /* headers alone */
    PAYLOADS_SHORT, /* all but those of entry_is_long */
    PAYLOADS_LONG,  /* those alone */
};

/* Where the entries of a record end in one log. */
struct gossip_end {
    struct hash log_id;
    uint64_t next; /* one more than the seq of the last */
};

/* What gossip asks of the replica about files (parcel.h). Calls of `take_have`, `take` and `forget` come only from gossip_receive;
 * those of `is_full` from anywhere; the others only from gossip_flush. */
struct gossip_files {
    void *self;

    /* How often it changed which files are here, named or wished for; 0: no file was ever named here. */
    uint64_t (*changes)(void *self);

    /* As parcel_held, parcel_wanted, parcel_is_wanted, parcel_ask and parcel_read. */
    enum parcel_look (*held)(void *self, const struct ident *compartment, uint64_t *cursor,
                             struct blob_have_item *item_out);
    enum parcel_look (*wanted)(void *self, const struct hash *device_id, const struct ident *compartment,
                               uint32_t chunks_max, struct hash *cursor, struct shelf_blob *blob_out);
    bool (*is_wanted)(void *self, const struct ident *compartment, const struct hash *address,
                      uint32_t chunks_max);
    bool (*ask)(void *self, const uint8_t tag[TAG_BYTES], const struct shelf_blob *blob, struct buf *out);
    enum err (*read)(void *self, const struct ident *compartment, const struct hash *address,
                     enum blob_piece piece, uint32_t index, struct buf *bytes_out, uint32_t *chunk_count_out);

    /* True if the disk is full: nothing of what a peer says that it holds could be noted in this turn, or in the last. */
    bool (*is_full)(void *self);

    /* As parcel_take_have and parcel_take. */
    bool (*take_have)(void *self, const struct hash *device_id, const struct ident *compartment,
                      const struct blob_have_item *item);
    enum parcel_verdict (*take)(void *self, const struct ident *compartment, const struct blob_part *part);

    /* The device does not hold this file, whatever it said. */
    void (*forget)(void *self, const struct hash *device_id, const struct hash *address);
};

/* What gossip asks of the replica. Calls of `take` come only from gossip_receive (inside the turn's
 * transaction); those of `read_chunk` only from gossip_flush (after it); the others from anywhere. */
struct gossip_store {
    void *self;
    const struct gossip_files *files; /* NULL: no files travel */

    /* Our incarnation, and the beginning of the stmt_id of our certificate in force. */
    void (*identity)(void *self, uint8_t incarnation_out[8], uint8_t certificate_out[8]);

    /* The compartments in which our own and the peer's standing certificate give at least carry; `control` among them.
     * How many, at most `max`; 0: not a member. */
    size_t (*shared)(void *self, const struct hash *device_id, struct ident *compartments_out, size_t max);

    /* Our frontier of a compartment; lent, good until the replica is closed. NULL: no memory. */
    struct frontier *(*frontier)(void *self, const struct ident *compartment);

    /* Our enum digest_flag bits of a compartment. */
    uint8_t (*flags)(void *self, const struct ident *compartment);

    /* The descriptor of a log that is here. False: it is not. */
    bool (*descriptor)(void *self, const struct hash *log_id, struct descriptor *descriptor_out);

    /* A log of this compartment by the first 8 bytes of its id, in the frontier or not. */
    bool (*find_log)(void *self, const struct ident *compartment, const uint8_t log_short[SHORT_BYTES],
                     struct hash *log_id_out);

    /* How a chunk with this first seq and prev would stand to what is here; also of a log that is not here. */
    enum gossip_link (*links)(void *self, const struct hash *log_id, uint64_t first_seq,
                              const uint8_t prev_short[SHORT_BYTES]);

    /* True if this entry is here, on any branch. */
    bool (*has)(void *self, const struct hash *log_id, uint64_t seq, const uint8_t entry_short[SHORT_BYTES]);

    /* Append to `chunk_out` one chunk of the path that ends in `tip` (a tip of the frontier, by its branch), from
     * entry from_seq on to the end of its run or the tip; the payloads that `payloads` leaves out as hashes. *next_seq_out: one
     * more than its last seq. ERR_ABSENT: the path ends before from_seq, or, below a fork, the
     * signature of this run was kept on another branch only. ERR_CORRUPT, ERR_IO, ERR_MEMORY: nothing is sent
     * of this log until the peer asks or the session begins anew. */
    enum err (*read_chunk)(void *self, const struct tip *tip, uint64_t from_seq, enum chunk_payloads payloads,
                           struct buf *chunk_out, uint64_t *next_seq_out);

    /* The one door. The frontier is up to date when this returns. Never asked for a log of a compartment that is not shared. */
    void (*take)(void *self, const struct hash *device_id, const struct gossip_log *log, struct span chunk,
                 struct taken *taken_out);

    /* What is kept here beyond the limits of a compartment's logs, for a device with admin there, be it the peer or we: the next path
     * after *cursor (0: the first), which moves on; the tip that it ends in, and the seq to begin with: the first beyond
     * the limit, or behind the one of `known` that is furthest on it. False: there is no more for that device. */
    bool (*beyond)(void *self, const struct hash *device_id, const struct ident *compartment,
                   const struct heads_tip *known, size_t known_count, uint32_t *cursor, struct tip *tip_out,
                   uint64_t *from_out);

    /* The records that entries from..to (exclusive) of a log call urgent by their hints, and that are read here: numbers that mean
     * something to `ends` alone, each once, the last called so first. How many, at most `room`. */
    size_t (*hinted)(void *self, const struct hash *log_id, uint64_t from, uint64_t to, uint32_t *records_out,
                     size_t room);

    /* Where the entries of such a record end, log by log. How many logs, at most `room`: others are left out. */
    size_t (*ends)(void *self, uint32_t record, struct gossip_end *ends_out, size_t room);

    /* One more than the highest seq of a log that is opened, merged and indexed. */
    uint64_t (*visible)(void *self, const struct hash *log_id);

    /* The next entry of a compartment, after *cursor (all zero: the first), which moves on, of which only the header is here; `wanted`:
     * of those alone that somebody asked for. Or one that is damaged here: cursor->whole. False: there is no more. */
    bool (*absent)(void *self, const struct ident *compartment, bool wanted, struct absent_cursor *cursor,
                   struct hash *log_id_out, uint64_t *seq_out);

    /* What is kept of each peer and compartment, by the slots above. Loading: ERR_ABSENT when there is none. Saving may be put
     * off until the next transaction; what a crash loses costs bytes only. */
    enum err (*load_checkpoint)(void *self, const struct hash *device_id, const struct ident *compartment,
                                uint32_t slot, struct buf *bytes_out);
    void (*save_checkpoint)(void *self, const struct hash *device_id, const struct ident *compartment,
                            uint32_t slot, struct span bytes);

    /* A session ended by itself. `hang_up`: its connection serves no purpose and should be closed (the other one of a
     * pair stays, a certificate left, a metered session is done); else a new one begins after a pause. */
    void (*ended)(void *self, uint32_t connection, bool hang_up, const char *why);

    /* A peer holds the same of `control` as we do: said at every comparison that finds it. */
    void (*agreed)(void *self, const struct hash *device_id);
};

struct gossip_options {
    const struct world *world;        /* send and wall clock; outlives the gossip */
    const struct gossip_store *store; /* outlives the gossip */
    struct hash device_id;            /* our own */
    struct ident control;             /* the compartment that goes first */
    enum link_profile profile;        /* of connections for which gossip_line says nothing else */
    const char *version;              /* at most 32 bytes; outlives the gossip */
    uint32_t credit_bytes;            /* what a peer may have on its way to us: at least 65,536 */
};

/* ERR_MEMORY. ERR_INVALID: credit below 65,536 or a version that is too long. */
MUST_CHECK enum err gossip_open(struct gossip **gossip_out, const struct gossip_options *options);
void gossip_close(struct gossip **gossip);

/* A connection is up: `connection` is the number that world_send takes, not in use for another. `now_ms` is of the
 * steady clock, here and below. ERR_MEMORY: it is not known afterwards. */
MUST_CHECK enum err gossip_up(struct gossip *gossip, uint32_t connection, const struct hash *device_id,
                              bool dialled, uint64_t now_ms);

/* What may pass on a connection by the budget of its line. */
enum gossip_allowance {
    GOSSIP_ALL = 0,
    GOSSIP_URGENT, /* lanes 0 and 1; of the others what has come already, and no credit for more. A metered session then ends */
    GOSSIP_NONE, /* the session ends, whatever the profile */
};

/* How a connection is to be used: from the session on that begins next, and its allowance from the next flush on. Right after
 * gossip_up it holds for its first session. Unknown numbers are ignored. */
void gossip_line(struct gossip *gossip, uint32_t connection, enum link_profile profile,
                 enum gossip_allowance allowance);

/* By which schedules both sides send on a connection, none where a side keeps none: from now on. What an answer is waited for follows
 * from them, and how much may be on its way; a session is that of a wan at the fastest, but that nothing waits for company, which costs
 * nothing here. Unknown numbers are ignored. */
void gossip_schedule(struct gossip *gossip, uint32_t connection, const struct envelope_schedule *own,
                     const struct envelope_schedule *theirs);

/* It is down, for the reason given in words (copied, cut to 95 bytes). Unknown numbers are ignored. */
void gossip_down(struct gossip *gossip, uint32_t connection, const char *why, uint64_t now_ms);

/* A frame arrived. Whatever it holds, it cannot fail; what is wrong with it is counted and ends the session. */
void gossip_receive(struct gossip *gossip, uint32_t connection, struct span frame, uint64_t now_ms);

/* The tips of a log changed by something else than gossip_receive: a local save, an import, another door. */
void gossip_changed(struct gossip *gossip, const struct ident *compartment, const struct hash *log_id,
                    uint64_t now_ms);

/* Certificates, or what anybody may hold, changed: shared compartments are asked for again at the next flush. Entries taken
 * in `control` do this by themselves. */
void gossip_rights_changed(struct gossip *gossip);

/* Let time pass: call at least once a second while a connection is up. */
void gossip_tick(struct gossip *gossip, uint64_t now_ms);

/* After the commit of this turn: build and send what is due, as far as credit and room allow. True: it would
 * send more if there were room or another turn (call again when there is room). */
bool gossip_flush(struct gossip *gossip, uint64_t now_ms);

/* Milliseconds until gossip_tick has something to do, at most 60,000. */
uint64_t gossip_wait_ms(const struct gossip *gossip, uint64_t now_ms);

/* Ask for a comparison with a peer (NULL: all) now instead of when its time comes. */
void gossip_compare(struct gossip *gossip, const struct hash *device_id, uint64_t now_ms);

/* What is to come again has changed, since something was found damaged: ask each peer that is here for it now instead of when its time
 * comes. */
void gossip_ask_again(struct gossip *gossip, uint64_t now_ms);

/* Ask a peer (NULL: all) that is connected for what it keeps of a compartment beyond the cuts of its logs. Gives how many are
 * asked; what comes is taken in like anything else. It must be a compartment in which we have admin. */
size_t gossip_ask_beyond(struct gossip *gossip, const struct hash *device_id, const struct ident *compartment,
                         uint64_t now_ms);

/* Say BYE to all at the next flush, checkpoints kept: we are about to stop. */
void gossip_stop(struct gossip *gossip);

/* --- status --- */

enum gossip_state {
    GOSSIP_DOWN = 0,  /* no connection */
    GOSSIP_GREETING,  /* connected, HELLO not yet answered */
    GOSSIP_COMPARING, /* digests differ or are not known */
    GOSSIP_SENDING,   /* entries are on their way, either way */
    GOSSIP_EQUAL,     /* digests were equal at the last look */
    GOSSIP_REFUSED,   /* the peer or we ended the session: see last_error */
};

/* How one compartment stands with one peer. */
struct gossip_compartment_status {
    struct ident compartment;
    enum gossip_state state;
    bool compared;               /* both digests are known */
    bool complete;               /* equal, and neither side lacks entries or payloads */
    bool visible_complete;       /* and neither side has work left */
    uint32_t stored_permille;    /* of our entries that it says are durable there */
    uint32_t visible_permille;   /* and visible */
    uint64_t entries_to_send;    /* ours that it lacks, as far as known */
    uint64_t entries_to_receive; /* its that we lack, as far as known */
    uint64_t bytes_to_receive; /* about how many those are: as announced, 0 while they fit into one message */
    uint64_t bytes_sent;       /* of CHUNK frames, in this session */
    uint64_t bytes_received;
};

/* How a peer stands: kept after its connection is down, until gossip_close. */
struct gossip_peer_status {
    struct hash device_id;
    uint32_t connection; /* if connected */
    bool connected;
    enum gossip_state state;  /* the least good of its compartments' */
    uint64_t last_contact_ms; /* wall clock of the last frame; 0: never */
    const char *last_error;   /* in words; "" when there is none */
    const char *last_ending;  /* how its last session ended, in words: "complete"; "" when none has */
    uint64_t frames_received;
    uint64_t frames_unknown; /* types that we do not know, ignored */
    uint64_t frames_stray;   /* of no session or no shared compartment, ignored */
    uint64_t frames_malformed;
    uint64_t chunks_forged;
    uint64_t chunks_seen;  /* held already */
    uint64_t chunks_later; /* put off or not needed, without blame */
    uint64_t pieces_taken; /* of files */
    uint64_t pieces_seen;  /* here already */
    uint64_t
        pieces_refused; /* not of the file that they were said to be of: it is not asked for there again */
    uint64_t pieces_sent;
    uint64_t entries_taken;
    uint64_t waiting[LANE_COUNT]; /* entries that have yet to be sent in this session, by lane */
    uint64_t on_way_bytes;        /* sent, and credit for them has not come back */
    uint64_t limit_bytes;         /* how many may be: see pace.h */
    uint64_t least_ms;            /* from a message until credit for it came; UINT64_MAX: none came yet */
    uint64_t entries_pulled; /* sent before others of their lanes, since a record of theirs was made urgent */
    uint64_t
        set_back; /* times that the peer said it has less of a log of its own than is here: no evidence, an alarm */
    const struct gossip_compartment_status *compartments;
    size_t compartment_count;
};

/* Lend the status of all peers, connected or not, until the next call on `gossip`. */
const struct gossip_peer_status *gossip_status(struct gossip *gossip, size_t *count_out);

/* One more than the highest seq of a log that a peer said it has, in a session that is open; 0: none said. No evidence. */
uint64_t gossip_told_of(const struct gossip *gossip, const struct ident *compartment,
                        const struct hash *log_id);

/* "equal", "sending" and so on. */
const char *gossip_state_text(enum gossip_state state);
