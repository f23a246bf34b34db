/* gossip_state.h - what the files of gossip share; nobody else includes it.
 *
 *     gossip.c          the owner's side: connections come and go, time passes
 *     gossip_session.c  the life of a session: greeting, introducing logs, comparing
 *     gossip_receive.c  what arrives
 *     gossip_send.c     what leaves, after the commit
 *     gossip_hint.c     what is older of an urgent record goes first
 *     gossip_blob.c     files: who holds which, what is asked for, and its pieces
 *     gossip_status.c   how it stands
 *
 * Why two peers cannot talk for ever:
 *
 * - DIGEST answers nothing: it leaves at the start, after a change once that is quiet, when it closes an
 *   exchange, and every minute.
 * - FRONT is answered by FRONT once a round; a round ends with equal digests. A request for another mode goes
 *   only to a FRONT of mode 0 or 1, and its answer is of a higher mode.
 * - ANNOUNCE answers nothing, and nothing answers it: it leaves only when more than a message was added to or taken from
 *   what there is to send.
 * - HEADS step 0 is answered by step 1, step 1 by WANT and CHUNK; only the dialler begins it.
 * - HAVE answers nothing; each file is told once a session, and again when it came anew. ASK answers nothing but that a file
 *   came to its end, or that there are others; an ASK for nothing is answered by nothing.
 * - Looking closer (FRONT, HEADS), asking for a log again (WANT) and beginning a session again wait twice as long each time, up to
 *   ten minutes; only entries that were really taken in, or became durable at the peer, or equal digests, reset that.
 */
#pragma once

#include "sync/flow.h"
#include "sync/pace.h"

enum {
    QUIET_MS = 2 * 1000, /* without a change, before a digest is worth its bytes */
    /* Without activity, before differing digests mean anything: more than QUIET_MS and a round trip. */
    SETTLE_MS = 5 * 1000,
    COMPARE_MS = 60 * 1000, /* digests go out this often whatever happens */
    BACKOFF_MS = 2 * 1000,  /* the first wait before a refused log is asked for again */
    BACKOFF_MS_MAX = 10 * 60 * 1000,
    CONTROL_MS = 30 * 1000,   /* the others wait no longer than this for a control that does not move */
    RESTART_MS = 30 * 1000,   /* before a session that broke begins anew */
    LAG_MS = 2 * 1000,        /* between looks at what has become visible */
    KEEP_MS = 10 * 60 * 1000, /* between writes of a checkpoint that keeps changing */
    ABSENT_MAX = 8,           /* payloads that are asked for at once */
    ABSENT_MS = 5 * 60 * 1000,
    BEYOND_MS = 60 * 1000, /* an answer from beyond the cuts is waited for on a line that would close */
    IDLE_MS = 60 * 1000,   /* a metered session in which nothing moves is over */
    REST_MS =
        15 *
        1000, /* and so is, after this, one for urgent news alone: longer than the answer of a slow line takes */
    METERED_LOOK_MS = 1000, /* between looks whether a metered session is at rest */
    BATCH_MS = 20 * 1000,   /* on a wan, lanes 2 and 3 wait this long for more */
    CREDIT_BYTES_MIN = 64 * 1024,
    CREDIT_BYTES_MAX = 1 << 30,
    /* A message holds one long chunk, or several short ones: it is whole or not at all, so a cut costs as much. Larger ones would save
     * 37 bytes each. */
    MESSAGE_BYTES = RUN_PAYLOAD_BYTES_MAX,
    /* On a line that is slow or cut off often several short ones together are no more than most long ones: a cut is not to cost more than a
     * chunk and 200 bytes, and a session begins with some 300. */
    PACED_MESSAGE_BYTES = 12 * 1024,
    FLUSH_MESSAGES_MAX = 64, /* chunk messages to one peer in a turn, so that a turn stays short */
    BEATS_AHEAD = 4,         /* envelopes of a schedule that may be on their way without credit */
    WANTS_MAX = 64,
    JOBS_MAX = 32,
    TROUBLES_MAX = 64,
    PROBES_MAX = 64,
    PROBE_ANSWERS_MAX = 16, /* chunks that are taken for the answer to one probe */
    ENTRY_BYTES = 150,      /* in a chunk: what is expected before any has been sent */
    WHY_BYTES = 96,
    ATTEMPTS_MAX = 20,
    ASKS_MAX = 2,                   /* files under way to us on one connection */
    GIVES_MAX = 4,                  /* files that a peer asked for and has not got */
    ENDS_MAX = 8,                   /* of which it is to be told that they are not under way */
    ASIDES_MAX = 64,                /* files that are left alone for a while */
    ASIDE_MS = 10 * 1000,           /* the first wait before one of them is asked for again */
    ASK_SILENCE_MS = 2 * 60 * 1000, /* without a piece, before a file is asked for elsewhere */
    MISSED_MS = 60 * 1000, /* the first wait before a peer tells again of what a full disk could not note */
    TOLD_MS =
        7 * 24 * 3600 * 1000, /* before it is told of all once more, since nothing says what it made of it */
    HINTED_MAX = 64,          /* urgent records of one compartment whose older entries go first */
    TEXT_PARTS = 9,           /* entries of lanes 2 and 3 to one part of files, where both wait */
};

/* A log that does not fit: a gap, or a fork whose beginning is being looked for downward. */
struct trouble {
    struct hash log_id;
    bool meeting;        /* looking for where a fork begins */
    uint64_t probe_from; /* the headers that were asked for begin here */
    uint64_t step;       /* how far down the next probe goes: 1, 2, 4, 8 ... */
    uint32_t attempts;
    uint64_t until_ms; /* nothing is asked of this log before */
};

/* The peer, an admin, asked for what lies beyond the cuts of a compartment's logs. */
struct beyond_job {
    bool asked; /* and not all has gone */
    struct heads_tip *known;
    size_t known_count;
    uint32_t cursor;
    bool has_tip;
    struct tip tip; /* of the path being sent */
    uint64_t at;    /* the next seq of it */
    struct hash log_id;
    uint32_t place; /* where that log was introduced, plus 1; 0: not yet */
};

/* A file that the peer is to send. */
struct ask {
    struct hash address;
    uint32_t part;
    uint64_t left; /* pieces that were asked for and have not come */
};

/* A file that the peer asked for. */
struct give {
    struct hash address;
    uint32_t part;
    uint32_t chunk_count;
    bool head;        /* due */
    bool hashes;      /* those of the page under work are */
    struct buf pages; /* of the ASK; read up to `at` */
    size_t at;
    uint32_t page; /* under work: what is left of it */
    uint8_t bitmap[ASK_BITMAP_BYTES];
};

/* A file that is not under way, which the peer is to hear. */
struct end_due {
    struct hash address;
    uint32_t part;
};

/* A file that is not asked of this peer before; never in this session: UINT64_MAX. */
struct aside {
    struct hash address;
    uint64_t until_ms;
    uint32_t attempts;
};

/* What a connection has to do with files. */
struct conn_files {
    struct ask asks[ASKS_MAX];
    size_t ask_count;
    struct give *gives[GIVES_MAX]; /* owned; the first is under work */
    size_t give_count;
    struct end_due ends[ENDS_MAX];
    size_t end_count;
    struct aside asides[ASIDES_MAX];
    size_t aside_count;
    uint64_t moved_ms;      /* a piece came or went, a file was told of or asked for */
    uint64_t look_again_ms; /* when a file that was put aside is due; UINT64_MAX: none is */
    uint64_t share;     /* bytes of lanes 2 and 3 that went while files waited, and were not made up for */
    uint64_t changes;   /* of files, at the last flush */
    size_t look_left;   /* compartments in which there may be something to ask for */
    uint32_t look_part; /* where that look has come to */
    struct hash look_at;
    uint64_t heard_ms; /* the last piece, or ASK for some */
};

/* One compartment within a session. */
struct part {
    struct ident id;
    bool shared; /* a place is not used twice in a session: introduced logs point here */
    struct flows flows;
    struct peer_view view;
    bool has_view; /* we know what the peer has, by FRONT or by equal digests */
    /* comparing */
    bool peer_told;
    uint8_t peer_digest[DIGEST_BYTES];
    uint8_t peer_flags;
    bool told;
    uint8_t told_digest[DIGEST_BYTES];
    uint8_t told_flags;
    uint64_t told_ms;
    bool equal;            /* at the last look */
    bool ever_equal;       /* in this session */
    bool front_sent;       /* in this round */
    uint32_t attempts;     /* of looking closer, since there was progress */
    uint64_t check_ms;     /* when to look closer, if digests differ */
    uint64_t active_ms;    /* the last chunk or change */
    uint64_t batch_ms;     /* on a wan: when lanes 2 and 3 go; 0: nothing waits */
    uint64_t seen_change;  /* of the frontier, for active_ms */
    uint64_t equal_change; /* of the frontier, when the rows were last set equal */
    /* refused without blame: told by FRONT again */
    bool refused;
    uint32_t refusals;
    uint32_t retries; /* in this session */
    uint64_t retry_ms;
    /* due at the next flush */
    bool digest_due;
    bool front_due;
    enum front_mode front_mode; /* at least */
    bool ask_due;
    enum front_mode ask_mode;
    bool slices_due;
    uint16_t heads_due;
    /* checkpoints */
    struct checkpoint kept[2];
    bool unsaved[2];
    uint64_t saved_ms;
    bool saved;
    struct trouble troubles[TROUBLES_MAX];
    size_t trouble_count;
    /* What the peer said it would send, less what its chunks have brought since; and what it must believe of us. */
    uint64_t announced;
    uint64_t announced_bytes;
    uint64_t said;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    /* files that the peer was told of */
    uint64_t have_at; /* the last */
    uint64_t
        have_full_ms;   /* of the wall clock: when it was last told of all that were here; 0: not known yet */
    uint64_t have_seen; /* changes when there was no other */
    /* all of it is told again: the peer had entries that waited, and may have known of some files too early, or missed some */
    bool have_again;
    /* files that the peer told us of, and that a full disk could not note */
    bool missed;              /* our digests say so; once they do no longer it tells us again */
    uint32_t misses;          /* in this session */
    uint64_t missed_until_ms; /* not before */
    /* payloads of which only the headers came */
    struct absent_cursor absent; /* how far they were asked for */
    uint32_t absent_asked;       /* on their way, as far as known */
    bool absent_done;            /* all were asked for */
    uint64_t absent_ms; /* what was asked for is waited for until then; then all is asked for again */
    /* urgent records, as store.hinted numbers them: a ring */
    uint32_t hinted[HINTED_MAX];
    size_t hinted_count;
    uint64_t hint_change; /* of the frontier at the last look for them, plus 1; 0: there is more to look at */
    /* beyond the cuts */
    bool beyond_due;          /* we are to ask */
    uint64_t beyond_until_ms; /* we asked: an answer may come until then, or later */
    struct beyond_job beyond; /* the peer asked */
};

/* A log the peer introduced, in its order. */
struct heard {
    struct gossip_log log;
    uint32_t part;
    bool known; /* false: of a compartment that is not shared; its frames are ignored */
    bool ack_due;
    bool lagging;
    uint32_t refused; /* refused when the part had been told again so often, plus 1; 0: not refused */
    uint64_t durable_next;
    uint64_t visible_next;
};

/* A log we introduced, in our order. */
struct spoken {
    struct hash log_id; /* by its first 8 bytes, if that is all we know */
    uint32_t part;
};

struct due_want {
    uint32_t part;
    uint8_t log_short[SHORT_BYTES];
    uint64_t from;
    uint64_t to;
    uint8_t policy;
};

/* Entries that the peer asked for. */
struct job {
    uint32_t part;
    struct hash log_id;
    uint64_t from;
    uint64_t to;
    enum chunk_payloads payloads;
    uint8_t lane;
    size_t branch; /* the one being sent */
    uint64_t at;   /* the next seq of it */
};

/* Headers that were asked for. */
struct probe {
    struct hash log_id;
    uint64_t from;
    uint64_t to;
    uint32_t answers_left;
};

enum session_state { SESSION_GREETING, SESSION_OPEN, SESSION_ENDED };

/* What the status of a compartment was told from: our side goes on while the peer is away. */
struct part_seen {
    uint8_t digest[DIGEST_BYTES]; /* ours then */
    uint64_t entries;             /* ours then, and how many of them the peer held and showed */
    uint64_t durable;
    uint64_t visible;
    uint64_t to_send;
};

struct peer {
    struct hash device_id;
    struct gossip_peer_status status;
    struct gossip_compartment_status *parts; /* as last seen; owned */
    struct part_seen *seen;                  /* one for each part; owned */
    size_t part_count;
    char last_error[WHY_BYTES];
    char last_ending[WHY_BYTES];
};

struct conn {
    uint32_t number;
    struct peer *peer;
    uint8_t incarnation[8]; /* the peer's, as it greeted */
    bool dialled;
    uint64_t up_ms;
    enum session_state state;
    bool told_set_back;  /* in this session */
    uint64_t restart_ms; /* when an ended session begins anew; 0: never */
    uint32_t restarts;
    uint64_t began_ms;
    /* due at the next flush */
    bool hello_due;
    bool deny_due;
    struct deny deny;
    char deny_text[WHY_BYTES];

    bool ended_due;
    bool hang_up;
    /* the session */
    enum link_profile own_profile; /* of the line; we greet with session_own_profile */
    struct envelope_schedule own_schedule;
    uint64_t
        beats_ms; /* a beat of each side, which a small frame and its answer take; 0: frames go when they are there */
    uint64_t slack_ms;    /* what a message of MESSAGE_BYTES and one that answers it take, likewise */
    uint8_t peer_profile; /* as the peer greeted; 0: not yet */
    enum gossip_allowance allowance;
    uint64_t window;           /* bytes of credit that the peer has at the start */
    bool sated;                /* what came last is more than the allowance: credit is not returned */
    enum link_profile profile; /* the slower of both sides */
    bool control_done;         /* control was equal once, or cannot become so now */
    struct part *parts;
    size_t part_count;
    struct heard *heard;
    size_t heard_count;
    size_t heard_capacity;
    uint32_t *acks; /* places in heard */
    size_t ack_count;
    size_t ack_capacity;
    size_t lagging_count;
    uint64_t lag_ms;
    struct spoken *spoken;
    size_t spoken_count;
    size_t spoken_capacity;
    struct due_want wants[WANTS_MAX];
    size_t want_count;
    struct probe probes[PROBES_MAX]; /* a ring */
    size_t probe_count;
    struct job jobs[JOBS_MAX];
    size_t job_count;
    uint64_t credit;      /* bytes of CHUNK and BLOB frames we may still send */
    uint64_t credit_all;  /* as the peer gave at the start */
    uint64_t needed;      /* the next chunk needs as many: nothing is read before */
    struct pace pace;     /* but on a lan */
    uint64_t pace_needed; /* as needed, of lanes 2 and 3 */
    uint64_t pace_needed_urgent;
    uint64_t granted; /* bytes the peer may still send */
    uint64_t owed;    /* bytes taken in and not yet returned */
    uint64_t parked;  /* bytes that are not returned until there is room again */
    uint64_t parked_ms;
    uint64_t lane_bytes[LANE_COUNT]; /* sent in this session, in chunks */
    uint64_t lane_entries[LANE_COUNT];
    size_t rotate;
    struct conn_files files;
    struct buf held; /* a frame that found no room: it goes first */
};

struct gossip {
    struct gossip_options options;
    const struct gossip_store *store;
    struct conn **conns;
    size_t conn_count;
    size_t conn_capacity;
    struct peer **peers;
    size_t peer_count;
    size_t peer_capacity;
    bool rights_stale;
    bool stopping;
    uint64_t now_ms;
    struct buf frame;
    struct buf chunk;
    struct gossip_peer_status *statuses;
    struct ident shared[GOSSIP_SHARED_MAX];
};

/* What to do with the connection when its session ends. */
enum ending { ENDING_RESTART, ENDING_STAY, ENDING_HANG_UP };

/* --- gossip_session.c --- */

/* Make room for one more item. False: no memory. */
bool session_grow(void **items, size_t *capacity, size_t count, size_t item_bytes);

/* The wait after so many attempts: twice as long each time, at most BACKOFF_MS_MAX. */
uint64_t session_backoff_ms(uint64_t first_ms, uint32_t attempts);
void session_count_up(uint32_t *attempts);

struct frontier *session_frontier(struct gossip *gossip, const struct part *part);
bool session_is_control(const struct gossip *gossip, const struct part *part);
bool session_is_open(const struct conn *conn);

/* As what we greet. */
enum link_profile session_own_profile(const struct conn *conn);

/* True if what is sent goes no faster than it arrives: on every line but a lan. */
bool session_is_paced(const struct conn *conn);

/* Note the last error of a peer. Control characters are left out. */
void session_set_error(struct peer *peer, const char *text, size_t size);
void session_say(struct peer *peer, const char *text);

/* The shared compartment that a tag means, NULL if there is none; and its place. */
struct part *session_part(struct conn *conn, const uint8_t tag[TAG_BYTES]);
uint32_t session_part_place(const struct conn *conn, const struct part *part);
struct conn *session_find(struct gossip *gossip, uint32_t number);

/* A frame that counts as credit arrived. False: it is more than the peer had; the session has ended. */
bool session_charge(struct gossip *gossip, struct conn *conn, size_t frame_bytes);

/* What a digest says of a compartment beside its heads. */
uint8_t session_flags(const struct gossip *gossip, const struct part *part);

/* Something moved in this compartment now. */
void session_stir(struct gossip *gossip, struct part *part);

/* The later of the checkpoints that are kept; serial 0: none. */
const struct checkpoint *session_checkpoint(const struct part *part);
void session_save_checkpoints(struct gossip *gossip, struct conn *conn, struct part *part);
void session_free_part(struct part *part);

/* How the line of a connection is to be used in the session that begins. */
void session_set_line(const struct gossip *gossip, struct conn *conn);

/* By which schedules both sides send, from now on. */
void session_set_schedule(struct conn *conn, const struct envelope_schedule *own,
                          const struct envelope_schedule *theirs);

/* Begin anew on a connection; whatever was of a session before is forgotten. */
void session_begin(struct gossip *gossip, struct conn *conn);

/* Forget everything of a session but its connection; checkpoints are saved. */
void session_clear(struct gossip *gossip, struct conn *conn);

/* End a session; `why` may be NULL. After ENDING_RESTART a new one begins after a while. */
void session_end(struct gossip *gossip, struct conn *conn, enum ending ending, uint64_t restart_after_ms,
                 const char *why);
void session_end_malformed(struct gossip *gossip, struct conn *conn, const char *what);
void session_end_memory(struct gossip *gossip, struct conn *conn);

/* End it and tell the peer so, with a DENY or a BYE. */
void session_deny(struct gossip *gossip, struct conn *conn, uint8_t code, uint32_t retry_after_s,
                  const char *text, enum ending ending);
void session_bye(struct gossip *gossip, struct conn *conn, enum bye_reason reason, enum ending ending,
                 const char *why);

/* Ask again what this peer may hold, open what is new and close what is gone. False: no memory. */
bool session_refresh(struct gossip *gossip, struct conn *conn);
bool session_shares(const struct conn *conn);

/* The log that a reference of the peer means; introduces it where the reference does. NULL: the session has ended.
 * One that is of no shared compartment is introduced too, so that both sides count alike. */
struct heard *session_resolve(struct gossip *gossip, struct conn *conn, const struct log_ref *ref,
                              struct part *part);

/* Ask for a log, or a part of it, at the next flush. */
void session_want(struct conn *conn, const struct part *part, const uint8_t log_short[SHORT_BYTES],
                  uint64_t from, uint64_t to, enum want_policy policy);

/* Introduce a log to the peer. False: the session has ended (it begins anew when the table is full). */
bool session_speak(struct gossip *gossip, struct conn *conn, uint32_t part, const uint8_t *log_id,
                   size_t size);

/* Bring the rows in step with our frontier, and note that it moved. False: no memory, the session has ended. */
bool session_follow(struct gossip *gossip, struct conn *conn, struct part *part);

/* Compare what the peer last said with what is here now. */
void session_compare(struct gossip *gossip, struct conn *conn, struct part *part);

/* One more than the highest seq we hold of a log, on any branch. */
uint64_t session_next_of_log(struct gossip *gossip, const struct part *part, const struct hash *log_id);

/* Note that a log is to be acknowledged at the next flush: all of it that is durable here, and visible. */
void session_ack(struct gossip *gossip, struct conn *conn, struct heard *heard, const struct taken *taken);

/* --- gossip_send.c --- */

enum push { PUSH_NOTHING, PUSH_SENT, PUSH_HELD };

/* Hand gossip->frame to the link, or hold it: then nothing else is built until it has gone. False: it is held. */
bool send_frame(struct gossip *gossip, struct conn *conn);

/* --- gossip_hint.c --- */

/* Put forward what is older of records that were made urgent. False: not all was looked at, another turn goes on. */
bool hint_follow(struct gossip *gossip, struct conn *conn);

/* --- gossip_blob.c --- */

/* Forget all that is under way; what was to come may be asked for elsewhere. */
void blob_clear(struct gossip *gossip, struct conn *conn);

/* Of a frame that arrived. */
void blob_receive_have(struct gossip *gossip, struct conn *conn, const struct blob_have *have);
void blob_receive_ask(struct gossip *gossip, struct conn *conn, const struct blob_ask *ask);
void blob_receive_part(struct gossip *gossip, struct conn *conn, const struct blob_part *piece,
                       size_t frame_bytes);

/* Send what is due of HAVE and ASK. False: a frame is held, or the session has ended. True in *more: another turn finds more. */
bool blob_send_small(struct gossip *gossip, struct conn *conn, bool *more);

/* A metered session is complete: what the peer was told of in it is not told in the next ones. */
void blob_keep_told(struct gossip *gossip, struct conn *conn);

/* True if files have waited for their share of what went of lanes 2 and 3. */
bool blob_is_first(const struct conn *conn);

/* Build and send one piece of a file. */
enum push blob_push(struct gossip *gossip, struct conn *conn);

/* So many bytes of lanes 2 and 3 went. */
void blob_note_text(struct conn *conn, size_t bytes);

/* True if a file is under way either way, or was a moment ago and another may be asked for. */
bool blob_is_busy(const struct gossip *gossip, const struct conn *conn, uint64_t rest_ms);

/* The peer may tell again of files that a full disk could not note, once there is room and a wait is over. */
void blob_tick(const struct gossip *gossip, struct part *part);

/* When blob_send_small has something to do again, at the latest. */
uint64_t blob_wake_ms(const struct gossip *gossip, const struct conn *conn);

/* --- gossip_status.c --- */

/* Remember how a connection stands: for status, also after it is down. */
void gossip_note_status(struct gossip *gossip, struct conn *conn);
