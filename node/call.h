/* call.h - one request while it is served: for the files serve_*.c alone.
 *
 * A call ends with call_ok or with the first call_fail; what is neither is an empty object.
 */
#pragma once

#include "node/backup.h"
#include "node/casework/consent.h"
#include "node/casework/duplicate.h"
#include "node/casework/finding.h"
#include "node/casework/roles.h"
#include "node/casework/workflow.h"
#include "node/casework/statistics.h"
#include "node/names.h"
#include "node/recent.h"
#include "node/security.h"
#include "node/serve.h"
#include "node/value.h"
#include "sync/bundle_contact.h"
#include "sync/policy.h"

enum { CALL_MESSAGE_BYTES = 320, CALL_EVENTS_MAX = 8, AUDIT_TEXT_BYTES = 1024 };

/* What is noted in the audit log: values of vocabulary audit_operation. */
enum audit_operation {
    AUDIT_READ = 1,
    AUDIT_SEARCH,
    AUDIT_EXPORT,
    AUDIT_IMPORT,
    AUDIT_OVERRIDE,
    AUDIT_GATE,
    AUDIT_SNAPSHOT,
    AUDIT_LINK,
    AUDIT_UNSUPPRESSED,
    AUDIT_SECURITY,
};

/* What is worth an event in the audit log. Texts are cut at AUDIT_TEXT_BYTES. */
struct audit_event {
    enum audit_operation what;
    const struct ident *record; /* NULL: of no one record */
    const char *fields;         /* names of codebook fields, separated by ", "; "" */
    const char *
        filter; /* coded conditions: "kind=case country_of_act=KEN"; never a search term or a value that is no code; "" */
    const char *reason; /* as the person gave it, or a code; "" */
    uint64_t count;     /* records that it reached; 0: not said */
};

/* The same, kept until it is written. */
struct kept_event {
    enum audit_operation what;
    bool has_record;
    struct ident record;
    char fields[AUDIT_TEXT_BYTES];
    char filter[AUDIT_TEXT_BYTES];
    char reason[AUDIT_TEXT_BYTES];
    uint64_t count;
};

/* Where the events of this device go in a month; month "": not known yet. */
struct audit_place {
    char month[8];
    struct ident compartment;
    struct ident record;
};

/* What a call that was put off keeps until it is run again; zeroed: nothing. */
struct call_kept {
    void *state;
    void (*free)(void *state);
};

struct call {
    struct serve *serve;
    struct replica *replica;
    struct roster *roster;
    const struct codebook *codebook;
    const struct roster_device *own; /* NULL: our certificate does not stand */
    struct table_txn *txn;           /* the turn's, or one that reads */
    struct arena arena;
    const json_t *body;
    struct call_kept *kept; /* of the request; see call_later */
    uint64_t client_no;
    int64_t id;
    enum sensitivity level; /* the highest that goes into the answer: L3, unless somebody wanted less */
    json_t *ok;
    bool one_record;                    /* that it is about one record: */
    struct ident record;                /* this */
    char read_fields[AUDIT_TEXT_BYTES]; /* L3 fields whose values are in the answer */
    struct kept_event events[CALL_EVENTS_MAX];
    size_t event_count;
    bool failed;
    bool subscribed; /* events follow, and no answer */
    bool later;      /* it is not ready, and is run again in the next turn of the loop */
    const char *code;
    char message[CALL_MESSAGE_BYTES];
    char hint[CALL_MESSAGE_BYTES];
};

const struct serve_options *call_options(const struct call *call);
struct names *call_names(const struct call *call);

/* The answer; stolen. NULL stands for no memory. */
void call_ok(struct call *call, json_t *ok);

/* Refuse. `hint` may be ""; `format` as for printf. The first one counts. */
void call_fail(struct call *call, enum err err, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with the code "usage". */
void call_usage(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A member of the request: text, or NULL if it is missing; a wrong type fails the call. */
const char *call_text(struct call *call, const char *name);
/* The same, and missing fails too. */
const char *call_text_needed(struct call *call, const char *name);
/* A number from least to most; `missing` if it is not there. */
int64_t call_number(struct call *call, const char *name, int64_t least, int64_t most, int64_t missing);
bool call_flag(struct call *call, const char *name);

/* `failed`: memory ran out while something of the answer was put together, which will be refused. */
void call_lacks(struct call *call, bool failed);

/* What this call needs is not ready yet, and it has done its share: give up, and be run from the beginning in the next turn of the
 * loop. Others are served meanwhile; what the same client asked after it waits. For calls that only read. What is in call->kept then is
 * there again when it is run again. It is freed when the call is not put off any more, when its client has left, and when something was
 * destroyed meanwhile: it may tell of that. */
void call_later(struct call *call);

/* What takes a turn of its own is done between these, without a reader open. False: the call failed. */
void call_pause(struct call *call);
MUST_CHECK bool call_resume(struct call *call);

/* The index of what records say. */
struct finding *call_finding(struct call *call);

/* The index of those that may be one. */
struct duplicate *call_duplicate(struct call *call);
/* What is counted, and the tables that were made of it last. */
struct stats_cache {
    struct statistics *statistics; /* NULL: none */
    uint64_t version;              /* of the facts */
    uint32_t window;
    uint32_t as_of_day;
};
struct facts *call_facts(struct call *call);
struct stats_cache *call_stats(struct call *call);
void stats_cache_clear(struct stats_cache *cache);

/* The snapshot that was drafted last, and is not written yet; NULL: none. */
struct snapshot_draft;
struct snapshot_draft **call_snapshot(struct call *call);
void snapshot_draft_free(struct snapshot_draft **draft);

/* The record that member "record" names. False: the call failed. */
MUST_CHECK bool call_record(struct call *call, struct named *named_out);
/* The same by a text. */
MUST_CHECK bool call_named(struct call *call, const char *text, struct named *named_out);

/* Long texts that have yet to come, as in the answers of sync.fetch, sync.budget and record.show. */
json_t *absent_json(const struct intake_absent *absent);

/* Both halves of it. */
MUST_CHECK bool call_view(struct call *call, const struct named *named, struct replica_view *view_out);

/* The same, and gives the error instead of refusing. The call has failed only if it cannot go on. */
MUST_CHECK enum err call_read(struct call *call, const struct named *named, struct replica_view *view_out);
/* Note an event of this call in the audit log. It is written in the turn of the call; of a call that only reads, in a turn
 * before the answer: what is shown was noted. False: there are too many, and the call failed. */
bool call_audit(struct call *call, const struct audit_event *event);
/* A value that goes into the answer: if it is strictly confidential (L3), that is an event. `field` may be NULL. */
void call_reads(struct call *call, const struct codebook_field *field, struct span value);
/* The conditions of a request that query_read took, in words: "kind=case office=KEN country_of_act=KEN act.date_from=2026-03". */
void call_filter_words(const struct call *call, char words_out[AUDIT_TEXT_BYTES]);
/* For serve.c alone. Make one event of all that was read. And write what the call noted, in a turn; nothing: it is done. False: it
 * could not be, and the call failed. */
void audit_gather(struct call *call);
bool audit_write(struct call *call);
struct audit_place *call_audit_place(struct call *call);
/* Write what is due of `security`, in a turn; `all`: no hour is waited for. `call` is nobody's. False: one could not be written, and is
 * tried again some seconds later: the turn may hold a part of it. */
MUST_CHECK bool audit_write_security(struct call *call, struct security *security, bool all);

/* The half of a record that `named` is in, whole though it be restricted: for a rule, and never to be shown. As
 * replica_read_in_spite; ERR_IO where the call failed besides. */
MUST_CHECK enum err call_read_in_spite(struct call *call, const struct named *named,
                                       struct record_view **view_out);

/* Add the peers of sync.watch, the places of journal.watch, as subscriptions of this call. */
void call_watch_peers(struct call *call);
void call_watch_journal(struct call *call, uint64_t after);
/* And the events of log.watch. */
void call_watch_events(struct call *call, uint64_t after, enum log_level level);
void call_peers_changed(struct call *call);

/* The one backup that may be on its way, and whom it is told to: when they leave, it is given up. */
struct backup_watch {
    struct backup_task *task; /* NULL: none */
    uint64_t client_no;
    int64_t id;
    enum backup_stage told_stage;
    uint64_t told_percent;
    uint64_t told_ms;
    char path[BACKUP_PATH_BYTES];
};
struct backup_watch *call_backup(struct call *call);

/* A slice of it. False: it is over, and that was told. `api` may be NULL: nobody is told. */
bool backup_watch_step(struct backup_watch *watch, struct call *call, struct api *api, uint64_t now_ms);

/* The one bundle that may be written or read, and whom it is told to: when they leave, it ends; what was taken in stays. */
struct bundle_write;
struct bundle_read;
struct bundle_watch {
    const struct serve_options *options;
    struct bundle_write *write; /* one of the two, or none */
    struct bundle_read *read;
    bool inspect;
    bool stepped; /* in the turn that is open */
    bool
        noting; /* all is read: what it says of who made it waits for a turn, or is in the one that is open */
    bool noted; /* that is durable */
    enum bundle_contact contact; /* of a replica that was restored */
    bool restored;               /* this one is, and was when all was read */
    unsigned lost;               /* turns, one after the other */
    enum err err;                /* of the last step */
    uint64_t not_before_ms;
    uint64_t client_no;
    int64_t id;
    uint64_t told_ms;
};
struct bundle_watch *call_bundle(struct call *call);
bool bundle_watch_is_on(const struct bundle_watch *watch);
void bundle_watch_close(struct bundle_watch *watch);

/* True if its next slice wants a turn; and that slice, in one; and how the turn ended. */
bool bundle_watch_wants_turn(const struct bundle_watch *watch, uint64_t now_ms);
void bundle_watch_take(struct bundle_watch *watch);
void bundle_watch_turn_ended(struct bundle_watch *watch, enum err err, uint64_t now_ms);

/* A slice that wants none. False: it is over, and that was told. `api` may be NULL: nobody is told. */
bool bundle_watch_step(struct bundle_watch *watch, struct call *call, struct api *api, uint64_t now_ms);

/* Exports that are on their way, each of one client. */
struct exporting;
struct exporting **call_exports(struct call *call);
void exporting_free(struct exporting **exports);
/* The events of this call about its client's export are written, in the turn that is open. */
void exporting_noted(struct call *call);
/* True if one was left by its client, or `all`: is on its way, and the audit log does not say so yet. */
bool exporting_is_due(const struct exporting *exports, const struct api *api, uint64_t now_ms, bool all);
/* Note it, in a turn; `call` is nobody's. False: one could not be noted, and is tried again some seconds later: the turn may hold a part of
 * it. */
MUST_CHECK bool exporting_step(struct exporting *exports, struct call *call, const struct api *api, bool all);
/* What was written in the turn is durable, or it is not. */
void exporting_turn_ended(struct exporting **exports, bool good);

/* Files that are on their way in or out, each of one client: serve_blob.c. */
struct transfer;
struct transfer **call_transfers(struct call *call);
void transfers_free(struct transfer **transfers);
/* Drop those on their way out: a record was erased, and its key may be one of theirs. */
void transfers_forget(struct transfer **transfers);
/* Drop those whose client has left. `api` may be NULL: none has. */
void transfers_sweep(struct transfer **transfers, const struct api *api);
void call_blob_add_begin(struct call *call);
void call_blob_add_bytes(struct call *call);
void call_blob_add_end(struct call *call);
void call_blob_list(struct call *call);
void call_blob_status(struct call *call);
void call_blob_get_begin(struct call *call);
void call_blob_get_bytes(struct call *call);
void call_blob_want(struct call *call);
void call_blob_evict(struct call *call);
void call_blob_verify(struct call *call);

/* A device that was ever certified, by what people type: name, id, the beginning of it, fingerprint. NULL: the call failed. */
const struct roster_device *call_author(struct call *call, const char *text);
/* A living one that this node may meet; likewise. */
const struct roster_device *call_peer_device(struct call *call, const char *text);

/* Refuse because our own certificate does not count, and say why that is. */
void call_fail_without_own(struct call *call);

/* A sentence about a device. */
struct device_words {
    char text[256];
};

/* "revoked by its office: stolen"; "" if it is not. */
struct device_words device_revoked_words(const struct roster *roster, const struct roster_device *device);

/* Why an entry of this log is held, with the name of its author. */
struct device_words held_words(const struct roster *roster, const struct log_branch *branch,
                               enum held_reason reason);

/* Forks of a device's logs, NULL: of everybody's; and whether there are any. */
json_t *forks_json(struct call *call, const struct hash *device_id);
bool device_has_forked(struct call *call, const struct hash *device_id);

/* True if this very device was revoked. */
bool own_is_revoked(const struct call *call);

/* What `status` says of revocations, forks, setbacks and entries that are held; adds a sentence to `warnings` for each thing
 * that an operator should do something about. */
json_t *alarms_json(struct call *call, json_t *warnings);

/* Add a sentence; `format` as for printf. */
void warn(json_t *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* [{"device","ahead_s"}] of those whose last readable stamp is ahead of our clock. */
json_t *clocks_ahead_json(struct call *call);

/* What the certificate of this device and its office give to the person who asks, or'ed; of an actor who has left, 0. */
uint32_t call_roles(struct call *call);

/* {"id","name","office"} of a device; {"number","name"} of an actor, null for none. */
json_t *device_json(const struct roster *roster, const struct hash *device_id);
json_t *actor_json(const struct roster *roster, const struct hash *device_id, uint32_t number);

/* The kind's name, and the number that a view or a summary shows; "" if none. */
const char *kind_name(const struct codebook *codebook, uint32_t kind);
/* "KEN" of the office whose compartment it is; the compartment's name if it is nobody's. */
const char *office_name(const struct roster *roster, const struct ident *compartment);
/* True if a stamp is more than a day ahead of our clock. */
bool stamp_is_suspect(const struct call *call, uint64_t hlc);

/* --- the calls: serve_record.c, serve_save.c, serve_list.c, serve_search.c, serve_conflict.c, serve_peer.c, serve_status.c,
 * serve_alarm.c, serve_actor.c, serve_backup.c, serve_device.c, serve_held.c, serve_epoch.c, serve_frontier.c,
 * serve_audit.c, serve_consent.c, serve_withheld.c, serve_urgent.c, serve_board.c, serve_duplicate.c, serve_export.c,
 * serve_why.c, serve_inspect.c, serve_doctor.c, serve_office.c --- */
void call_backup_make(struct call *call);
void call_backup_accept(struct call *call);
void call_bundle_export(struct call *call);
void call_bundle_inspect(struct call *call);
void call_bundle_import(struct call *call);
void call_erase_plan(struct call *call);
void call_erase_order(struct call *call);
void call_erase_list(struct call *call);
void call_erase_report(struct call *call);
void call_record_save(struct call *call);
void call_record_show(struct call *call);
void call_record_history(struct call *call);
void call_record_why(struct call *call);
void call_inspect_entry(struct call *call);
void call_inspect_log(struct call *call);
void call_inspect_record(struct call *call);
void call_inspect_peer(struct call *call);
void call_inspect_statement(struct call *call);
void call_record_list(struct call *call);
void call_record_count(struct call *call);
void call_record_search(struct call *call);
void call_urgent_list(struct call *call);
void call_urgent_ack(struct call *call);
void call_board(struct call *call);
void call_record_export(struct call *call);
void call_stats_tables(struct call *call);
void call_stats_table(struct call *call);
void call_snapshot_draft(struct call *call);
void call_snapshot_make(struct call *call);
void call_snapshot_list(struct call *call);
void call_snapshot_show(struct call *call);
void call_snapshot_verify(struct call *call);
void call_conflict_list(struct call *call);
void call_conflict_show(struct call *call);
void call_conflict_resolve(struct call *call);
void call_status(struct call *call);
void call_digest(struct call *call);
void call_doctor(struct call *call);
void call_offices(struct call *call);
void call_sync_status(struct call *call);
void call_sync_now(struct call *call);
void call_sync_watch(struct call *call);
void call_peer_add(struct call *call);
void call_peer_list(struct call *call);
void call_peer_remove(struct call *call);
void call_peer_set(struct call *call);
void call_sync_budget(struct call *call);
void call_sync_lines(struct call *call);
void call_sync_fetch(struct call *call);
void call_codebook_show(struct call *call);
void call_actor_list(struct call *call);
void call_actor_add(struct call *call);
void call_actor_change(struct call *call);
void call_metrics(struct call *call);
void call_log_list(struct call *call);
void call_log_watch(struct call *call);
void call_journal_watch(struct call *call);
void call_device_list(struct call *call);
void call_device_show(struct call *call);
void call_held_list(struct call *call);
void call_held_show(struct call *call);
void call_held_fetch(struct call *call);
void call_epoch_list(struct call *call);
void call_epoch_rotate(struct call *call);
void call_frontier_cut(struct call *call);
void call_frontier_write(struct call *call);
void call_audit_list(struct call *call);
void call_audit_verify(struct call *call);
void call_consent_show(struct call *call);
void call_consent_withheld(struct call *call);
void call_duplicate_list(struct call *call);
void call_duplicate_link(struct call *call);
void call_duplicate_unlink(struct call *call);
void call_duplicate_reject(struct call *call);

/* Refuse because the record is hidden behind a restriction. */
void call_fail_restricted(struct call *call);

/* --- what several calls tell of the node: serve_status.c, serve_peer.c --- */

/* What waits, by reason. */
struct pend_counts {
    uint64_t text;  /* long payloads that nobody asked for */
    uint64_t asked; /* and those that somebody did */
    uint64_t key;
    uint64_t schema;
    uint64_t rebuild;
};
struct pend_counts count_pend(struct table_txn *txn);

/* Orders to erase that lack a signature. */
size_t waiting_orders(const struct roster *roster);

/* Every compartment that this device may hold, in the call's arena. NULL: no memory, and the call failed. */
struct replica_compartment *held_compartments(struct call *call, size_t *count_out);

/* Sums over them: records that people count, not the other halves of those in a case compartment; and entries. */
uint64_t count_records(struct call *call, const struct replica_compartment *held, size_t count);
uint64_t count_entries(const struct replica_compartment *held, size_t count);

/* What gossip says of a device among `count` in `all`; NULL: nothing. */
struct gossip_peer_status;
const struct gossip_peer_status *peer_status_of(const struct gossip_peer_status *all, size_t count,
                                                const struct hash *device_id);

/* True of somebody that we met, or try to meet. `status` may be NULL. */
bool peer_is_met(const struct peer *peer, const struct gossip_peer_status *status);

/* How far a peer is: what the least of its compartments says; of one that was not met, all zero. */
struct peer_progress {
    uint32_t stored; /* of 1000 */
    uint32_t visible;
    bool complete;
    bool visible_complete;
    uint64_t waiting_in; /* entries */
    uint64_t waiting_out;
};
struct peer_progress peer_progress_of(const struct gossip_peer_status *status);

/* What a peer says of a compartment that we may lack most of; where none is connected, what one said last. NULL: nothing. Lent until
 * the status of gossip is asked for again. */
struct gossip_compartment_status;
const struct gossip_compartment_status *most_to_come(const struct call *call, const struct ident *compartment,
                                                     bool *connected_out);

/* An array of the peer objects of sync.status. NULL: no memory. */
json_t *peers_json(struct call *call);

/* The compartments of which something is still to come, or waits to be read: what of each is stored here, and what is visible, of all
 * that is known of. */
json_t *arriving_json(struct call *call, const struct replica_compartment *held, size_t held_count);

/* The event of a place; NULL: nothing there for people. Where memory ran out, json_memory_lacked or the call's arena says so, and what is given is not
 * to be told. */
json_t *place_json(struct call *call, uint64_t place);

/* --- facts about this node, for the doctor and for metrics: serve_doctor.c --- */

struct checkup_facts;

/* Of both environments and the journal; of what waits. */
void checkup_read_store(struct call *call, struct checkup_facts *facts);
void checkup_read_waiting(struct call *call, struct checkup_facts *facts);
/* Of the keys of compartments: `facts->now_ms` is set; the list is in the call's arena. False: the call failed. */
bool checkup_read_epochs(struct call *call, struct checkup_facts *facts);

/* Append every metric, in a call that reads. False: it failed. serve_metrics.c */
struct metrics;
MUST_CHECK bool metrics_put_all(struct call *call, struct metrics *m);
/* Note of each peer that is complete that it is so now: at least once in some seconds. */
void peers_follow_complete(struct call *call);

/* An event as log.list and log.watch give it. NULL: no memory. */
json_t *event_json(const struct recent_event *event);

/* --- shared by save, show, history and what is held --- */

/* What the row of an entry says of it: "merged", "needs key". */
const char *entry_state_name(enum entry_state state);

/* One op as the history shows it. */
json_t *op_json(struct call *call, const struct op *op);

/* All elements of both halves, those that are absent among them. False: no memory, and the call failed. */
MUST_CHECK bool view_elements(struct call *call, const struct replica_view *view,
                              const struct element_name **elements_out, size_t *count_out);
/* The whole record as record.show gives it, without what is above the call's level. Below L3 it is as on a node that may not read
 * the protected half, and no author is named; at L0 not even the office. NULL: no memory. */
json_t *record_json(struct call *call, const struct named *named, const struct replica_view *view);
/* The first half that has the target; NULL: none has. `view_out` may be NULL. */
const struct record_target *view_target(const struct replica_view *view, const struct target *target);
uint32_t view_kind(const struct replica_view *view);
/* The siblings of a target in both halves, the pick first. */
json_t *values_json(struct call *call, const struct record_target *target);
/* {"counted_under","records"} of those that are linked with the record, in a chain too; null: it is in no group. */
json_t *same_json(struct call *call, const struct named *named);

/* --- shared by list, count and search: serve_list.c --- */

/* Which records somebody asks for, by the coded index. */
struct query {
    struct call *call;
    uint32_t kind;                            /* 0: any */
    struct index_term terms[INDEX_TERMS_MAX]; /* in the call's arena */
    size_t count;
};

/* Read "kind", "where", "month" and "office". Without a kind, which may be left out unless it is `needed`, there is
 * neither "where" nor "month". False: the call failed. */
MUST_CHECK bool query_read(struct call *call, bool needed, struct query *query_out);

/* A field by which records are found. NULL: there is none of this name, and the call failed. */
const struct codebook_field *query_field(struct call *call, uint32_t kind, const char *name);

/* What a token of an index is: a month of a date, else a value of the field; or its label. NULL: no memory. */
json_t *token_json(struct call *call, const struct codebook_field *field, struct span token, bool label);

/* A record as lists show it. NULL: no memory. */
json_t *row_json(struct call *call, const struct record_summary *summary, bool conflict);

/* True if either half of the record has an open conflict that is shown. */
bool summary_conflicts(struct call *call, const struct record_summary *summary);

/* --- an imported row: serve_import.c --- */

/* Where in a request of record.save something stands. */
#define CALL_PLACE_SET SIZE_MAX        /* in "set" */
#define CALL_PLACE_NONE (SIZE_MAX - 1) /* nowhere yet */
struct call_place {
    size_t add;       /* an item of "add", or one of these two */
    const char *name; /* as the request, or the codebook, calls the field; NULL: none. Lent by either */
};

/* A save that was put together, and not judged. It lives in the call's arena. */
struct call_draft {
    uint32_t kind;
    struct replica_view view; /* of the record as it is; of a new one all zero */
    struct save save;
    char number[NAMES_NUMBER_BYTES];
    struct call_place at; /* what was read last: where it failed, if it did */
};

/* What "set" and "add" of the body make of a new record, or of one that is `known`; a new one gets a number if `number`. False: the call
 * failed. */
bool call_draft(struct call *call, const struct named *known, bool number, struct call_draft *draft_out);

/* May this device bring in a new record that has a history elsewhere? False: no, and the call failed. */
bool call_may_import(struct call *call, const struct save *save);

/* The import that is on its way: see API.md, "import". */
struct import;

/* NULL: no memory. */
struct import *import_new(void);
void import_free(struct import **import);

/* The one of this node. */
struct import *call_import(struct call *call);

/* Read what the tables say of it, unless that was done: between turns, or in one. */
void import_load(struct import *import, struct replica *replica);
/* Read it again: a turn was given up. The next slice is not before that time: after one that failed, or found the disk full, some
 * seconds later. */
enum { IMPORT_RETRY_MS = 5000 };
void import_forget(struct import *import, uint64_t not_before_ms);
/* It was committed. */
void import_turn_ended(struct import *import);

/* True if rows wait to become records, or nobody is left who brings the rest: a turn is wanted. */
bool import_is_due(struct import *import, const struct api *api, uint64_t destroyed, uint64_t now_ms);
/* Milliseconds until then, at most `wait_ms`. */
uint64_t import_wait_ms(struct import *import, const struct api *api, uint64_t destroyed, uint64_t now_ms,
                        uint64_t wait_ms);

/* True if rows wait that may tell of a record that was destroyed since they came: `destroyed` is erase_destroyed. */
bool import_is_unswept(const struct import *import, uint64_t destroyed);

/* A slice of it, and before that of dropping the rows that tell of destroyed records, in a turn: `call` is nobody's. False: a row was refused
 * half-way: the turn is to be given up. */
MUST_CHECK bool import_step(struct import *import, struct call *call, const struct api *api);

void call_import_begin(struct call *call);
void call_import_rows(struct call *call);
void call_import_check(struct call *call);
void call_import_commit(struct call *call);
void call_import_status(struct call *call);
void call_import_resume(struct call *call);
void call_import_abandon(struct call *call);

/* May the record take the step that this save takes, does the save leave standing what is only added to, and did the persons
 * of the case agree to it? False: no, and the call failed. */
bool call_allows_step(struct call *call, uint32_t kind, const struct replica_view *view,
                      const struct save *save);

/* What the rules are asked about a save. Lent: the save and the view. */
struct workflow_save call_workflow_save(struct call *call, uint32_t kind, const struct replica_view *view,
                                        const struct save *save);

/* May the save set the urgency so? Then, if the case is or becomes U1 or U2, it is made to go ahead of others, and where it raises the
 * urgency an alert is added to its ops. False: no, and the call failed. */
bool call_minds_urgency(struct call *call, uint32_t kind, const struct replica_view *view, struct save *save);

/* Ask the replica to save; `number` may be "". False: the call failed, and says why. */
MUST_CHECK bool call_write(struct call *call, const struct save *save, const char *number,
                           struct saved *saved_out);
/* The same, and answer. */
void call_save(struct call *call, const struct save *save, const char *number);

/* --- consent: serve_consent.c --- */

/* One person of a case, as far as this node can tell. Lives in the call's arena. */
enum { PARTY_NAME_BYTES = 48 };
struct party {
    struct ident id;
    char number[NAMES_NUMBER_BYTES]; /* "": none, or not known */
    char name[PARTY_NAME_BYTES];     /* the number, or else the pseudonym, or the first digits of the id */
    bool known;                      /* the record can be read here */
    bool hidden;                     /* behind a restriction: nothing of `view` is to be shown */
    const struct record_view *view;  /* of the case half; NULL: not known */
    struct consent consent;
};

struct parties {
    struct party *items;
    size_t count;
};

struct workflow_save;

/* The persons of a case as it will be after the save, by name; see consent_persons. False: the call failed. */
MUST_CHECK bool call_parties(struct call *call, const struct workflow_save *save,
                             struct parties *parties_out);

/* When the gate no_harm was last passed for including the case without names; 0: never, or it was refused. */
uint64_t call_no_harm(const struct workflow_save *save);

/* Did the persons of the case agree to what this save does? False: no, and the call failed: it says who did not agree to what. */
MUST_CHECK bool call_allows_consent(struct call *call, uint32_t kind, const struct replica_view *view,
                                    const struct save *save);

/* Note the overrides that a save brings whose right is not asked: an imported one. False: the call failed. */
MUST_CHECK bool call_notes_overrides(struct call *call, uint32_t kind, const struct replica_view *view,
                                     const struct save *save);

/* What consent lets be said of a case: before it is exported, or counted. */
struct case_consent {
    uint32_t
        uses; /* enum consent_use: what every person of the case agreed to; of a case without persons, all */
    bool describable; /* every person may be described, some with the name perhaps and others without */
    char why
        [256]; /* why that is not all: who agreed to less, and to what: codes and numbers of records alone; "" */
};

/* Read it. A restricted case may be neither described nor counted, nor one with a person whose record cannot be read here. False:
 * the call failed. */
MUST_CHECK bool call_case_consent(struct call *call, const struct replica_view *view,
                                  struct case_consent *consent_out);

/* Tell each device that may hold what a standing order erases and has not said that nothing is left on it: once for each order.
 * serve_erase.c */
void erase_each_missing(struct call *call, void (*each)(void *self, const struct roster_device *device),
                        void *self);

/* Before the record of an individual is erased: write a count stub for each window with a case that may count, if count_only
 * stands. `written_out`: how many; `lost_out`: for how many there is no room on the disk. False: the call failed. */
MUST_CHECK bool call_write_stubs(struct call *call, const struct named *person, uint32_t actor,
                                 size_t *written_out, size_t *lost_out);

/* Append the `struct named` of every record that has all terms, without its number: read first, since a view that has to be made
 * anew ends the walk. False: the call failed. */
MUST_CHECK bool call_gather(struct call *call, const struct index_term *terms, size_t count,
                            struct buf *found);
struct named named_at(const struct buf *found, size_t n);

/* The token of a code, or of a record, in the call's arena. */
struct span number_token(struct call *call, uint64_t number);
struct span record_token(struct call *call, const struct ident *id);
/* Append open conflicts of records above `after`, as conflict.list gives them. True: there may be more, of records above *last_out. The
 * call's arena is emptied. */
bool conflicts_list(struct call *call, uint32_t after, int64_t limit, json_t *list, uint32_t *last_out);

/* --- urgent cases: serve_urgent.c --- */

struct urgent_page {
    json_t *rows;     /* as of urgent.list */
    json_t *next;     /* a cursor, or null */
    uint64_t waiting; /* cases that wait to be acknowledged, on other pages too */
    uint64_t total;
};

/* The page of urgent.list that members "after" and `limit` say; `all`: those that were acknowledged too. False: the call failed. What is in
 * the page is the caller's either way. */
MUST_CHECK bool urgent_rows(struct call *call, bool all, int64_t limit, struct urgent_page *page_out);

/* What a case is set to, since when it waits, and what its facts ask for: of the case half alone. NULL: no memory, and the call failed. */
json_t *urgency_json(struct call *call, const struct record_view *open);

/* Tell the compartment of each emergency (U1) that waits to be acknowledged. False: the call failed. */
MUST_CHECK bool urgent_each_waiting(struct call *call,
                                    void (*each)(void *self, const struct ident *compartment), void *self);

/* A warning if an emergency waits to be acknowledged. */
void urgent_warn(struct call *call, json_t *warnings);

/* Everything that fields of this name show in a view, in a list. NULL: no memory. */
json_t *shown_json(struct call *call, const struct record_view *view, const char *name);
