/* What is put back: backups, databases, whole disks; again and again, in a small organisation that goes on meanwhile.
 *
 *     live (saves, a link for a moment, copies kept) --> put one of the copies back --> save, unseen --> meet a peer
 *        ^                                                                                                  |
 *        +----------------------------------- everybody equal again <---------------------------------------+
 *
 * Whatever a device signs is written down here as soon as its turn is over, by log and seq; so it is known of every
 * signature whether its place was used before. That is allowed to one alone whose whole disk was replaced, as
 * long as no peer has shown it what it lacks. */
#include "tests/sim/sim.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "sync/restore.h"

#include <assert.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MEMBERS_MAX = 3,
    KEPT_MAX = 6,
    PEOPLE_MAX = 12,
    BUCKETS = 4096,
    SECOND_MS = 1000,
    SETTLE_MS_MAX = 15 * 60 * SECOND_MS,
    /* Whoever could prove a fork waits for those before it. */
    PROOFS_MS = 10 * 60 * SECOND_MS,
};

/* An entry that one of the devices signed. */
struct signing {
    uint8_t log[HASH_BYTES];
    uint64_t seq;
    uint8_t id[HASH_BYTES];
    uint8_t incarnation[8];
    size_t author;  /* of the members */
    unsigned held;  /* members that hold it: a bit each */
    uint64_t when;  /* it was the how-manieth */
    bool lost;      /* nobody holds it: it went with a disk, and nobody else had it */
    bool with_disk; /* which was replaced as a whole */
    bool again;     /* its place had been used */
    size_t next;    /* in its bucket, and one more; 0: none */
};

/* A copy that is kept. */
struct kept {
    bool used;
    bool backup;
    size_t member;
    uint64_t when; /* as many entries were known */
    uint8_t incarnation[8];
    char path[240]; /* of an image */
    struct buf main;
    struct buf keys;
    struct key_pair recipient;
};

/* A device, since its disk was replaced the last time. */
struct life {
    size_t node;
    enum restored_kind kind;
    uint64_t since;         /* what was signed later than this, and is not here, was lost */
    bool opened;            /* and looked at */
    bool settled;           /* it has been equal with everybody since */
    bool noticed;           /* it began a new incarnation */
    uint8_t begun[8];       /* its incarnation when it opened */
    uint8_t incarnation[8]; /* and now */
    uint64_t place;         /* in its journal: up to here it was looked at */
    bool by_anchor;         /* what it logged when it began another one, at its opening */
    bool by_peer;           /* and afterwards: for a tail of its own, */
    bool by_proof;          /* or a proof of its fork */
};

/* What was logged, by anybody, since the last step. */
struct heard {
    uint64_t set_back; /* a peer was */
    uint64_t anchors;  /* a new incarnation, and why */
    uint64_t tails;
    uint64_t forks;
};

struct history {
    struct sim sim;
    struct life lives[MEMBERS_MAX];
    size_t member_count;
    struct heard heard;
    uint64_t set_back; /* said of the victim since its disk was replaced */
    struct signing *signings;
    size_t signing_count;
    size_t signing_capacity;
    size_t buckets[BUCKETS];
    struct kept kept[KEPT_MAX];
    uint64_t next_path;
    struct ident people[PEOPLE_MAX];
    size_t people_count;
    struct restores_stats stats;
    FILE *trace;
};

/* --- what is logged --- */

static void
hear(void *self, const char *line)
{
    struct history *history = self;

    if (history->trace != NULL) {
        (void)fprintf(history->trace, "          %s\n", line);
    }
    struct heard *heard = &history->heard;
    heard->set_back += strstr(line, "event=peer-set-back ") != NULL;
    heard->anchors += strstr(line, "event=incarnation-new reason=anchor-disagrees") != NULL;
    heard->tails += strstr(line, "event=incarnation-new reason=own-tail-at-a-peer") != NULL;
    heard->forks += strstr(line, "event=incarnation-new reason=fork-proof") != NULL;
}

static struct sim_node *
node_of(struct history *history, size_t member)
{
    return &history->sim.nodes[history->lives[member].node];
}

static const char *
name_of(struct history *history, size_t member)
{
    return node_of(history, member)->device->name;
}

/* --- what was signed --- */

static size_t *
bucket_of(struct history *history, const uint8_t *log, uint64_t seq)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seq;

    for (size_t n = 0; n < HASH_BYTES; n++) {
        hash = (hash ^ log[n]) * UINT64_C(0x100000001b3);
    }
    return &history->buckets[hash % BUCKETS];
}

static bool
is_at(const struct signing *signing, const uint8_t *log, uint64_t seq)
{
    return signing->seq == seq && memcmp(signing->log, log, HASH_BYTES) == 0;
}

/* A place that was used: may it be used once more? What went with a whole disk, and nobody else had, nobody can know of. */
static void
judge_second(struct history *history, const struct signing *first, const struct signing *second)
{
    const struct life *life = &history->lives[second->author];

    if (first->lost && first->with_disk) {
        return;
    }
    if (life->kind != RESTORED_DISK || life->noticed || life->settled) {
        sim_fail(&history->sim, "%s signs seq %llu of a log a second time%s",
                 name_of(history, second->author), (unsigned long long)second->seq,
                 life->kind != RESTORED_DISK ? ", and its disk was not replaced as a whole"
                 : life->noticed             ? " after it was told that it had been set back"
                                             : ", with the first one before its eyes");
    }
}

static void
note_entry(struct history *history, size_t member, size_t author, const struct log_branch *branch,
           const struct entry *entry)
{
    size_t *bucket = bucket_of(history, branch->log_id.bytes, entry->seq);
    struct life *life = &history->lives[author];
    struct signing found = { .seq = entry->seq,
                             .author = author,
                             .held = 1U << member,
                             .when = history->signing_count,
                             .next = *bucket };

    for (size_t at = *bucket; at != 0; at = history->signings[at - 1].next) {
        struct signing *known = &history->signings[at - 1];

        if (is_at(known, branch->log_id.bytes, entry->seq) &&
            memcmp(known->id, entry->id.bytes, HASH_BYTES) == 0) {
            known->held |= 1U << member;
            known->lost = false;
            return;
        }
    }
    /* Nobody has seen this one before. */
    memcpy(found.log, branch->log_id.bytes, HASH_BYTES);
    memcpy(found.id, entry->id.bytes, HASH_BYTES);
    memcpy(found.incarnation, branch->descriptor.incarnation, sizeof found.incarnation);
    if (member != author) {
        sim_fail(&history->sim, "%s holds an entry of %s that was never seen there", name_of(history, member),
                 name_of(history, author));
    }
    if (memcmp(found.incarnation, life->incarnation, sizeof found.incarnation) != 0) {
        sim_fail(&history->sim, "%s signs in a log of an incarnation that it has left",
                 name_of(history, author));
    }
    for (size_t at = *bucket; at != 0; at = history->signings[at - 1].next) {
        if (is_at(&history->signings[at - 1], found.log, found.seq)) {
            judge_second(history, &history->signings[at - 1], &found);
            found.again = true;
        }
    }
    if (history->signing_count == history->signing_capacity) {
        history->signing_capacity = history->signing_capacity == 0 ? 1024 : history->signing_capacity * 2;
        history->signings = realloc(history->signings, history->signing_capacity * sizeof *history->signings);
        assert(history->signings != NULL);
    }
    history->signings[history->signing_count++] = found;
    *bucket = history->signing_count;
    history->stats.entries++;
    history->stats.again += found.again;
}

/* A device that has an incarnation of another name than before had a reason. */
static void
follow_incarnation(struct history *history, size_t member)
{
    struct life *life = &history->lives[member];
    const uint8_t *now = replica_identity(node_of(history, member)->replica)->incarnation;

    if (!life->opened) {
        memcpy(life->begun, now, sizeof life->begun);
        memcpy(life->incarnation, now, sizeof life->incarnation);
        life->opened = true;
        life->by_anchor = history->heard.anchors > 0;
        return;
    }
    if (memcmp(life->incarnation, now, sizeof life->incarnation) == 0) {
        return;
    }
    /* Of databases that it noticed, it is reminded as often as it opens, until its anchor is written again. */
    bool again = history->heard.anchors > 0 && life->by_anchor && !life->settled;
    if (history->heard.tails + history->heard.forks == 0 && !again) {
        sim_fail(&history->sim, "%s begins a new incarnation for no reason", name_of(history, member));
    }
    sim_note(&history->sim, "%s begins a new incarnation", name_of(history, member));
    memcpy(life->incarnation, now, sizeof life->incarnation);
    life->noticed = true;
    life->by_peer = life->by_peer || !again;
    life->by_proof = history->heard.forks > 0;
}

/* Write down what is new in the journal of a member. */
static void
look(struct history *history, size_t member)
{
    struct sim_node *node = node_of(history, member);
    struct life *life = &history->lives[member];
    struct table_txn *txn = NULL;

    if (!node_is_up(node)) {
        return;
    }
    follow_incarnation(history, member);
    struct journal *journal = replica_journal(node->replica);
    uint64_t last = journal_place_last(journal);
    if (life->place == last) {
        return;
    }
    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        sim_fail(&history->sim, "%s cannot read", node->device->name);
    }
    while (life->place < last) {
        uint32_t log_no;
        uint64_t seq;
        struct journal_entry stored;
        enum err err = journal_at(txn, ++life->place, &log_no, &seq);

        if (err == ERR_OK && log_no == LOG_NONE) {
            continue;
        }
        if (err == ERR_OK) {
            err = journal_read(journal, txn, log_no, seq, &stored);
        }
        if (err != ERR_OK) {
            sim_fail(&history->sim, "%s: place %llu: %s", node->device->name, (unsigned long long)life->place,
                     err_code(err));
        }
        const struct log_branch *branch = journal_branch(journal, log_no);
        for (size_t author = 0; author < history->member_count; author++) {
            if (hash_equal(&node_of(history, author)->device->identity.device_id, &branch->device_id)) {
                note_entry(history, member, author, branch, &stored.entry);
            }
        }
    }
    replica_end_read(node->replica, &txn);
}

/* --- time --- */

static void
pass(struct history *history)
{
    history->heard = (struct heard){ .set_back = 0 };
    sim_pass(&history->sim);
    history->set_back += history->heard.set_back;
    for (size_t member = 0; member < history->member_count; member++) {
        look(history, member);
    }
}

static void
pass_for(struct history *history, uint64_t ms)
{
    uint64_t until_ms = history->sim.now_ms + ms;

    while (history->sim.now_ms < until_ms) {
        pass(history);
    }
}

static void
wait_until_up(struct history *history, size_t member)
{
    uint64_t since_ms = history->sim.now_ms;

    while (!node_is_up(node_of(history, member))) {
        pass(history);
        if (history->sim.now_ms > since_ms + 60 * SECOND_MS) {
            sim_fail(&history->sim, "%s does not come up", name_of(history, member));
        }
    }
}

/* --- links --- */

static struct sim_link *
link_between(struct history *history, size_t a, size_t b)
{
    int one = (int)history->lives[a].node;
    int other = (int)history->lives[b].node;

    for (size_t n = 0; n < history->sim.link_count; n++) {
        struct sim_link *link = &history->sim.links[n];

        if ((link->a == one && link->b == other) || (link->a == other && link->b == one)) {
            return link;
        }
    }
    sim_fail(&history->sim, "no link");
}

/* End it, at once for both. */
static void
split(struct history *history, struct sim_link *link)
{
    struct sim *sim = &history->sim;

    link->split = true;
    for (size_t n = 0; n < sim->conn_count; n++) {
        if (sim->conns[n]->link == (int)(link - sim->links)) {
            network_cut(sim, sim->conns[n], "the link is gone");
        }
    }
}

static void
heal(struct history *history, struct sim_link *link)
{
    if (link->split) {
        link->split = false;
        link->dial_ms[0] = history->sim.now_ms;
        link->dial_ms[1] = history->sim.now_ms;
    }
}

static void
split_all(struct history *history)
{
    for (size_t n = 0; n < history->sim.link_count; n++) {
        split(history, &history->sim.links[n]);
    }
}

/* Two of them meet, for so short that only some of what they would say may be said. */
static void
touch(struct history *history, size_t a, size_t b)
{
    struct sim *sim = &history->sim;
    struct sim_link *link = link_between(history, a, b);
    uint64_t since_ms = sim->now_ms;

    heal(history, link);
    sim->chaos = true;
    /* What was cut before is noticed within some seconds. */
    bool connected = false;
    while (!connected && sim->now_ms < since_ms + 20 * SECOND_MS) {
        pass(history);
        for (size_t n = 0; n < sim->conn_count; n++) {
            connected = connected || (sim->conns[n]->link == (int)(link - sim->links) && !sim->conns[n]->cut);
        }
    }
    pass_for(history, chance_between(&sim->chance, 10,
                                     2 * link->latency_ms + (chance_one_in(&sim->chance, 3) ? 4000 : 700)));
    sim->chaos = false;
    split(history, link);
}

/* --- saves --- */

static void
set_text(struct save_op *op, struct buf *value, const char *name, const char *text)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field =
        codebook_field_by_name(codebook, codebook_kind_by_name(codebook, "person")->number, name);

    assert(field != NULL);
    cbor_put_text(value, span_text(text));
    *op = (struct save_op){ .code = OP_SET,
                            .target = { .collection = field->collection,
                                        .element = { field->collection != 0 },
                                        .field = field->number },
                            .value = buf_span(value),
                            .resolve = true };
}

/* A new person, or what is known of one of them. */
static void
save_once(struct history *history, size_t member)
{
    struct sim *sim = &history->sim;
    struct sim_node *node = node_of(history, member);
    struct buf values[3] = { { 0 } };
    struct save_op ops[3];
    char text[60];
    size_t count = 0;
    struct save save = {
        .compartment = shape_compartment_of(sim->shape, node->sim->nodes[1].device->office, OWN_CASES)->id,
        .actor = 1,
        .urgent = chance_one_in(&sim->chance, 5),
        .ops = ops
    };
    struct saved saved;
    size_t at = 0;
    size_t person = chance_below(&sim->chance, PEOPLE_MAX);

    (void)snprintf(text, sizeof text, "P-%llu", (unsigned long long)sim->next_value++);
    save.create = person >= history->people_count;
    if (save.create) {
        cbor_put_uint(&values[count], codebook_kind_by_name(codebook_reprisals(), "person")->number);
        ops[count] = (struct save_op){ .code = OP_SET,
                                       .target = { .field = FIELD_KIND },
                                       .value = buf_span(&values[count]) };
        count++;
    } else {
        save.record_id = history->people[person];
    }
    if (save.create || !chance_one_in(&sim->chance, 3)) {
        set_text(&ops[count], &values[count], "pseudonym", text);
        count++;
    }
    if (chance_one_in(&sim->chance, 2) || count == 0) {
        set_text(&ops[count], &values[count], "name.text", text);
        count++;
    }
    save.op_count = count;
    enum err err = replica_save(node->replica, &save, &saved, &at);
    sim_note(sim, "%s saves %s%s: %s", node->device->name, text, save.create ? ", somebody new" : "",
             err_code(err));
    if (err == ERR_OK && save.create) {
        history->people[history->people_count++] = saved.record_id;
    } else if (err != ERR_OK && err != ERR_ABSENT && err != ERR_LOCKED && err != ERR_DENIED) {
        /* Whom it does not know, or not yet, it cannot write about. */
        sim_fail(sim, "%s: a save: %s", node->device->name, err_code(err));
    }
    gossip_changed(node->gossip, &save.compartment, &node->device->identity.device_id,
                   sim->now_ms + node->steady_ms);
    for (size_t n = 0; n < 3; n++) {
        buf_free(&values[n]);
    }
}

/* A turn with saves in it. Between its commit and the anchor the machine may stop. */
static void
save_some(struct history *history, size_t member, bool stops)
{
    struct sim *sim = &history->sim;
    struct sim_node *node = node_of(history, member);
    /* The anchor is that of the turn before. */
    enum err err = replica_anchor(node->replica);

    if (err == ERR_OK) {
        err = replica_begin(node->replica);
    }
    if (err != ERR_OK) {
        sim_fail(sim, "%s: a turn does not begin: %s", node->device->name, err_code(err));
    }
    for (uint64_t left = chance_between(&sim->chance, 1, 3); left > 0; left--) {
        save_once(history, member);
    }
    err = replica_commit(node->replica);
    if (err == ERR_OK && !stops) {
        err = replica_anchor(node->replica);
    }
    if (err != ERR_OK) {
        sim_fail(sim, "%s: a turn with saves: %s", node->device->name, err_code(err));
    }
    look(history, member);
    if (stops) {
        node_crash(node, 10, "after a commit, before the anchor");
        wait_until_up(history, member);
        return;
    }
    node->flush_due = true;
    node->flush_ms = sim->now_ms;
}

/* --- copies --- */

static void
read_file(struct history *history, const char *path, struct buf *out)
{
    uint8_t part[65536];
    size_t size;
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        sim_fail(&history->sim, "cannot read %s", path);
    }
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        buf_put(out, part, size);
    }
    (void)fclose(file);
}

static void
write_file(struct history *history, const char *path, struct span content)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(content.data, 1, content.size, file) != content.size || fclose(file) != 0) {
        sim_fail(&history->sim, "cannot write %s", path);
    }
}

/* Copy a directory with what is in it. */
static void
copy_tree(struct history *history, const char *from, const char *to)
{
    DIR *open = opendir(from);
    char source[520];
    char target[520];

    if (open == NULL || mkdir(to, 0700) != 0) {
        sim_fail(&history->sim, "cannot copy %s to %s", from, to);
    }
    for (struct dirent *at = readdir(open); at != NULL; at = readdir(open)) {
        struct buf content = { 0 };

        (void)snprintf(source, sizeof source, "%s/%s", from, at->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, at->d_name);
        if (at->d_type == DT_DIR && at->d_name[0] != '.') {
            copy_tree(history, source, target);
        } else if (at->d_type == DT_REG) {
            read_file(history, source, &content);
            write_file(history, target, buf_span(&content));
        }
        buf_free(&content);
    }
    (void)closedir(open);
}

static void
kept_free(struct kept *kept)
{
    if (kept->used && !kept->backup) {
        remove_tree(kept->path);
    }
    buf_free(&kept->main);
    buf_free(&kept->keys);
    *kept = (struct kept){ .used = false };
}

static void
keep_image(struct history *history, struct kept *kept, size_t member)
{
    struct sim_node *node = node_of(history, member);

    if (replica_anchor(node->replica) != ERR_OK) {
        sim_fail(&history->sim, "%s: no anchor", node->device->name);
    }
    node_crash(node, 10, "to be copied");
    (void)snprintf(kept->path, sizeof kept->path, "%s/image-%llu", history->sim.directory,
                   (unsigned long long)history->next_path++);
    copy_tree(history, node->directory, kept->path);
    wait_until_up(history, member);
}

static enum err
append(void *self, struct span bytes)
{
    buf_put_span(self, bytes);
    return ERR_OK;
}

/* While it goes on saving. */
static void
keep_backup(struct history *history, struct kept *kept, size_t member)
{
    struct sim_node *node = node_of(history, member);
    struct stream_recipient recipient;
    struct backup *backup = NULL;
    bool done = false;

    crypto_box_pair(&kept->recipient, &node->world);
    stream_recipient_of_key(&recipient, kept->recipient.public_key);
    enum err err = backup_begin(&backup, node->replica,
                                &(struct backup_options){ .recipients = &recipient,
                                                          .recipient_count = 1,
                                                          .with_device_keys = true,
                                                          .main = { &kept->main, append },
                                                          .keys = { &kept->keys, append } });
    while (err == ERR_OK && !done) {
        if (chance_one_in(&history->sim.chance, 4)) {
            save_some(history, member, false);
        }
        err = backup_step(backup, &done);
    }
    if (err != ERR_OK || backup_progress(backup).lost != 0) {
        sim_fail(&history->sim, "%s: a backup: %s", node->device->name, err_code(err));
    }
    backup_close(&backup);
}

static void
keep(struct history *history, size_t member)
{
    struct sim *sim = &history->sim;
    struct kept *kept = &history->kept[chance_below(&sim->chance, KEPT_MAX)];

    kept_free(kept);
    kept->used = true;
    kept->backup = chance_one_in(&sim->chance, 3);
    kept->member = member;
    kept->when = history->signing_count;
    memcpy(kept->incarnation, history->lives[member].incarnation, sizeof kept->incarnation);
    if (kept->backup) {
        keep_backup(history, kept, member);
    } else {
        keep_image(history, kept, member);
    }
    sim_note(sim, "%s of %s is kept", kept->backup ? "a backup" : "an image", name_of(history, member));
}

/* --- put back --- */

struct source {
    struct span bytes;
    size_t at;
};

static enum err
take(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct source *source = self;
    size_t left = source->bytes.size - source->at;

    *size_out = left < room ? left : room;
    if (*size_out > 0) {
        memcpy(out, source->bytes.data + source->at, *size_out);
    }
    source->at += *size_out;
    return ERR_OK;
}

/* A backup that is being read. */
struct reading {
    struct stream_header headers[2];
    struct key file_key;
    struct source sources[2];
    struct restore *restore;
};

static void
open_backup(struct history *history, const struct kept *kept, struct reading *reading, bool verify)
{
    const struct span files[] = { buf_span(&kept->main), buf_span(&kept->keys) };
    restore_fault fault = { NULL, NULL, NULL };
    enum err err = ERR_OK;

    for (size_t n = 0; n < 2 && err == ERR_OK; n++) {
        size_t size = 0;

        err = stream_header_read(files[n], &reading->headers[n], &size);
        reading->sources[n] = (struct source){ files[n], size };
    }
    if (err == ERR_OK) {
        err = restore_pair(reading->headers, &fault);
    }
    if (err == ERR_OK) {
        err = stream_open_box(&reading->headers[0], &kept->recipient, &reading->file_key);
    }
    if (err == ERR_OK) {
        err = restore_open(&reading->restore,
                           &(struct restore_files){ .headers = reading->headers,
                                                    .file_key = &reading->file_key,
                                                    .main = { &reading->sources[0], take },
                                                    .keys = { &reading->sources[1], take } },
                           verify, &fault);
    }
    if (err != ERR_OK) {
        sim_fail(&history->sim, "a backup does not open: %s", err_code(err));
    }
}

/* On a machine with nothing on it, as `vigild restore` does it. */
static void
restore_backup(struct history *history, const struct kept *kept)
{
    struct sim_node *node = node_of(history, kept->member);
    struct reading reading = { .restore = NULL };
    struct restore_counts counts;
    struct replica_identity identity;
    struct replica *replica = NULL;
    struct buf statements = { 0 };
    restore_fault fault = { NULL, NULL, NULL };

    remove_tree(node->directory);
    if (mkdir(node->directory, 0700) != 0) {
        sim_fail(&history->sim, "no directory %s", node->directory);
    }
    open_backup(history, kept, &reading, true);
    enum err err = restore_check(reading.restore, &statements, &counts, NULL, NULL, &fault);
    restore_close(&reading.restore);
    open_backup(history, kept, &reading, false);
    if (err == ERR_OK) {
        err = restore_identity(reading.restore, &node->world, &identity) ? ERR_OK : ERR_ABSENT;
    }
    if (err == ERR_OK) {
        err = wrap_make(node->directory, &node->device->storage_key, &node->world);
    }
    if (err == ERR_OK) {
        err = replica_identity_write(node->directory, &node->device->storage_key, &identity, &node->world);
    }
    if (err == ERR_OK) {
        err = replica_open(&replica, &(struct replica_options){ .directory = node->directory,
                                                                .world = &node->world,
                                                                .storage_key = &node->device->storage_key,
                                                                .codebook = codebook_reprisals(),
                                                                .map_bytes = node->map_bytes });
    }
    if (err == ERR_OK) {
        err =
            restore_apply(reading.restore, replica,
                          &(struct restore_options){ .statements = buf_span(&statements) }, &counts, &fault);
    }
    if (err != ERR_OK || counts.refused != 0 || counts.differing != 0 || counts.payloads_absent != 0) {
        sim_fail(&history->sim, "%s is not restored: %s, %s", node->device->name, err_code(err),
                 fault.what == NULL ? "" : fault.what);
    }
    replica_close(&replica);
    restore_close(&reading.restore);
    crypto_wipe(&identity, sizeof identity);
    buf_free(&statements);
}

/* The image in the place of the disk, but for the files named, which stay as they are. */
static void
restore_image(struct history *history, const struct kept *kept, const char *const *stay, size_t stay_count)
{
    struct sim_node *node = node_of(history, kept->member);
    struct buf content[2] = { { 0 } };
    char path[400];

    assert(stay_count <= 2);
    for (size_t n = 0; n < stay_count; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", node->directory, stay[n]);
        read_file(history, path, &content[n]);
    }
    remove_tree(node->directory);
    copy_tree(history, kept->path, node->directory);
    for (size_t n = 0; n < stay_count; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", node->directory, stay[n]);
        write_file(history, path, buf_span(&content[n]));
        buf_free(&content[n]);
    }
}

/* True if it was signed by the victim after its copy was made, `holder` has it and the victim has not. */
static bool
is_beyond(const struct history *history, const struct signing *signing, size_t victim, unsigned holders)
{
    return signing->author == victim && signing->when >= history->lives[victim].since &&
           (signing->held & 1U << victim) == 0 && (signing->held & holders) != 0;
}

static bool
is_in_forked_log(const struct history *history, const struct signing *signing)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        if (history->signings[n].again && memcmp(history->signings[n].log, signing->log, HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* True if the victim had signed something that it has no longer. Of a log that an older disk forked, and that was left therefore,
 * the anchor knows one branch. */
static bool
has_lost(const struct history *history, size_t victim, const unsigned *held)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *signing = &history->signings[n];

        if (signing->author == victim && (held[n] & ~signing->held & 1U << victim) != 0 &&
            !is_in_forked_log(history, signing)) {
            return true;
        }
    }
    return false;
}

static bool
is_used_incarnation(const struct history *history, const uint8_t incarnation[8])
{
    for (size_t n = 0; n < history->signing_count; n++) {
        if (memcmp(history->signings[n].incarnation, incarnation, 8) == 0) {
            return true;
        }
    }
    return false;
}

/* It is open again. Was it noticed where it can be? */
static void
check_opening(struct history *history, const struct kept *kept, const uint8_t before[8], bool own_device_file,
              const unsigned *held)
{
    struct life *life = &history->lives[kept->member];
    const uint8_t *started = life->kind == RESTORED_DATABASES && own_device_file ? before : kept->incarnation;
    bool fresh = memcmp(life->begun, started, sizeof life->begun) != 0;

    if (fresh && is_used_incarnation(history, life->begun)) {
        sim_fail(&history->sim, "%s opens with an incarnation that it had before",
                 name_of(history, kept->member));
    }
    switch (life->kind) {
    case RESTORED_BACKUP:
        if (!fresh) {
            sim_fail(&history->sim, "%s was restored and goes on in the incarnation of its backup",
                     name_of(history, kept->member));
        }
        break;
    case RESTORED_DATABASES:
        if (!fresh && has_lost(history, kept->member, held)) {
            sim_fail(&history->sim, "%s opens older databases and does not notice it by its anchor",
                     name_of(history, kept->member));
        }
        if (fresh != life->by_anchor) {
            sim_fail(&history->sim, "%s does not log that its anchor disagrees",
                     name_of(history, kept->member));
        }
        history->stats.noticed_at_opening += fresh;
        break;
    case RESTORED_DISK:
        if (fresh) {
            sim_fail(&history->sim, "%s was replaced as a whole and cannot know",
                     name_of(history, kept->member));
        }
        break;
    default:
        break;
    }
    life->noticed = fresh;
}

/* Put this copy in the place of what its device has now, and let it open. */
static void
put_back(struct history *history, struct kept *kept)
{
    static const char *const stay[] = { "anchor", "device" };
    struct sim *sim = &history->sim;
    struct sim_node *node = node_of(history, kept->member);
    struct life *life = &history->lives[kept->member];
    unsigned *held = calloc(history->signing_count + 1, sizeof *held);
    uint8_t before[8];
    bool own_device_file = chance_one_in(&sim->chance, 2);
    enum restored_kind kind = kept->backup                     ? RESTORED_BACKUP
                              : chance_one_in(&sim->chance, 2) ? RESTORED_DATABASES
                                                               : RESTORED_DISK;

    assert(held != NULL);
    look(history, kept->member);
    memcpy(before, life->incarnation, sizeof before);
    if (replica_anchor(node->replica) != ERR_OK) {
        sim_fail(sim, "%s: no anchor", node->device->name);
    }
    node_crash(node, chance_between(&sim->chance, 10, 500), "its disk is gone");
    sim_note(sim, "%s: %s", node->device->name,
             kind == RESTORED_BACKUP      ? "a backup is restored"
             : kind == RESTORED_DATABASES ? "its databases are older ones"
                                          : "its whole disk is an older one");
    for (size_t n = 0; n < history->signing_count; n++) {
        held[n] = history->signings[n].held;
        history->signings[n].held &= ~(1U << kept->member);
    }
    history->set_back = 0;
    *life = (struct life){ .node = life->node, .kind = kind, .since = kept->when };
    follower_forget(node);
    node->set_back = true;
    if (kind == RESTORED_BACKUP) {
        restore_backup(history, kept);
    } else if (kind == RESTORED_DATABASES) {
        restore_image(history, kept, stay, own_device_file ? 2 : 1);
    } else {
        restore_image(history, kept, NULL, 0);
        node->restored = true;
    }
    wait_until_up(history, kept->member);
    check_opening(history, kept, before, own_device_file, held);
    for (size_t n = 0; n < history->signing_count; n++) {
        struct signing *signing = &history->signings[n];
        bool lost = signing->held == 0;

        /* A whole disk also forgets what was lost before it. */
        signing->with_disk = lost && ((signing->lost && signing->with_disk) ||
                                      (kind == RESTORED_DISK && signing->author == kept->member));
        signing->lost = lost;
    }
    history->stats.restores[kind]++;
    free(held);
}

/* --- the first contact --- */

/* True if somebody holds what was signed again, and somebody what was signed there before: who lost both branches but one shows no fork. */
static bool
is_held_fork(const struct history *history, const struct signing *again)
{
    for (size_t n = 0; again->again && again->held != 0 && n < history->signing_count; n++) {
        const struct signing *before = &history->signings[n];

        if (before->seq == again->seq && before->held != 0 &&
            memcmp(before->log, again->log, HASH_BYTES) == 0 &&
            memcmp(before->id, again->id, HASH_BYTES) != 0) {
            return true;
        }
    }
    return false;
}

/* What the peer of a victim can see at once: a log that the victim signed and has less of. */
static bool
is_seen_to_be_behind(const struct history *history, size_t victim, size_t peer)
{
    bool found = false;

    for (size_t n = 0; n < history->signing_count && !found; n++) {
        const struct signing *ahead = &history->signings[n];
        bool other = false;

        if (!is_beyond(history, ahead, victim, 1U << peer)) {
            continue;
        }
        for (size_t m = 0; m < history->signing_count; m++) {
            const struct signing *mine = &history->signings[m];

            /* What only the victim has, it signed since: a fork, which shows as such, as does one that is there. */
            other =
                other ||
                (memcmp(mine->log, ahead->log, HASH_BYTES) == 0 &&
                 ((mine->held & (1U << victim | 1U << peer)) == 1U << victim || is_held_fork(history, mine)));
        }
        found = !other;
    }
    return found;
}

static bool
holds_some_of(const struct history *history, size_t victim, const uint8_t incarnation[8])
{
    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *signing = &history->signings[n];

        if (signing->author == victim && (signing->held & 1U << victim) != 0 &&
            memcmp(signing->incarnation, incarnation, sizeof signing->incarnation) == 0) {
            return true;
        }
    }
    return false;
}

/* True if one of them has what the victim signed later, in its incarnation or in one that it does not know. (One that it knows was
 * left before: what was added there since, an even older disk had signed.) */
static bool
knows_more(const struct history *history, size_t victim, unsigned holders)
{
    const struct life *life = &history->lives[victim];

    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *signing = &history->signings[n];

        if (is_beyond(history, signing, victim, holders) &&
            (memcmp(signing->incarnation, life->begun, sizeof life->begun) == 0 ||
             !holds_some_of(history, victim, signing->incarnation))) {
            return true;
        }
    }
    return false;
}

/* True if they hold the same, and neither has anything to do. */
static bool
are_equal(struct history *history, size_t a, size_t b)
{
    const struct shape *shape = history->sim.shape;
    struct sim_node *nodes[] = { node_of(history, a), node_of(history, b) };

    for (size_t n = 0; n < 2; n++) {
        if (!node_is_up(nodes[n]) || nodes[n]->tend_due || replica_tend_is_due(nodes[n]->replica)) {
            return false;
        }
    }
    for (size_t n = 0; n < shape->compartment_count; n++) {
        const struct shape_compartment *at = &shape->compartments[n];

        if (shape_level(shape, nodes[0]->index, at, STEPS - 1) >= LEVEL_CARRY &&
            shape_level(shape, nodes[1]->index, at, STEPS - 1) >= LEVEL_CARRY &&
            memcmp(frontier_digest(node_frontier(nodes[0], &at->id)),
                   frontier_digest(node_frontier(nodes[1], &at->id)), DIGEST_BYTES) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t
set_back_count(struct history *history, size_t peer, size_t victim)
{
    size_t count = 0;
    const struct gossip_peer_status *peers = gossip_status(node_of(history, peer)->gossip, &count);

    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&peers[n].device_id, &node_of(history, victim)->device->identity.device_id)) {
            return peers[n].set_back;
        }
    }
    return 0;
}

/* True if the peer has anything that the victim signed and lacks. */
static bool
is_behind(const struct history *history, size_t victim, size_t peer)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *signing = &history->signings[n];

        if (signing->author == victim && (signing->held & (1U << victim | 1U << peer)) == 1U << peer) {
            return true;
        }
    }
    return false;
}

static bool
holds_fork_of(struct history *history, size_t member, size_t author)
{
    struct journal *journal = replica_journal(node_of(history, member)->replica);

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->parent != LOG_NONE &&
            hash_equal(&branch->device_id, &node_of(history, author)->device->identity.device_id)) {
            return true;
        }
    }
    return false;
}

/* The victim and this peer talk until they are equal. */
static void
meet(struct history *history, size_t victim, size_t peer)
{
    struct sim *sim = &history->sim;
    struct life *life = &history->lives[victim];
    bool disk = life->kind == RESTORED_DISK && !life->noticed;
    bool knew_more = disk && knows_more(history, victim, 1U << peer);
    bool is_seen = knew_more && is_seen_to_be_behind(history, victim, peer);
    bool behind = is_behind(history, victim, peer);
    uint64_t said = set_back_count(history, peer, victim);
    uint64_t since_ms = sim->now_ms;

    sim_note(sim, "%s and %s meet%s%s", name_of(history, victim), name_of(history, peer),
             knew_more ? ", who knew more" : "", is_seen ? " and sees it" : "");
    heal(history, link_between(history, victim, peer));
    do {
        pass_for(history, 200);
        if (sim->now_ms > since_ms + SETTLE_MS_MAX) {
            sim_fail(sim, "%s and %s do not become equal", name_of(history, victim), name_of(history, peer));
        }
    } while (!are_equal(history, victim, peer));
    if (knew_more && !life->noticed) {
        sim_fail(sim, "%s was set back, %s knew more, and it goes on as before", name_of(history, victim),
                 name_of(history, peer));
    }
    /* The proof of the fork may come before the tail; then it is that which is told. */
    struct replica_setbacks setbacks = replica_setbacks(node_of(history, victim)->replica);
    if (knew_more &&
        (!life->by_peer || setbacks.incarnations == 0 || (setbacks.lost_tails == 0 && !life->by_proof))) {
        sim_fail(sim, "%s was set back and does not say so", name_of(history, victim));
    }
    if (is_seen && (history->set_back == 0 || set_back_count(history, peer, victim) == said)) {
        sim_fail(sim, "%s sees that %s was set back and does not say so", name_of(history, peer),
                 name_of(history, victim));
    }
    if (knew_more && !is_seen && !holds_fork_of(history, peer, victim)) {
        sim_fail(sim, "%s was set back, and %s has neither that nor a fork to tell of",
                 name_of(history, victim), name_of(history, peer));
    }
    if (!behind && set_back_count(history, peer, victim) > said) {
        sim_fail(sim, "%s says that %s was set back, and it lacks nothing", name_of(history, peer),
                 name_of(history, victim));
    }
    history->stats.peer_said += is_seen;
}

/* --- all is well again --- */

static void
check_equal(struct history *history)
{
    struct sim *sim = &history->sim;
    unsigned all = (1U << history->member_count) - 1;

    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *signing = &history->signings[n];

        if (signing->held != (signing->lost ? 0 : all)) {
            sim_fail(sim, "an entry of %s, seq %llu%s, is held by %x of %x: something is lost",
                     name_of(history, signing->author), (unsigned long long)signing->seq,
                     signing->again ? " of a branch" : "", signing->held, all);
        }
    }
    for (size_t member = 0; member < history->member_count; member++) {
        struct journal *journal = replica_journal(node_of(history, member)->replica);

        for (size_t n = 0; n < sim->shape->compartment_count; n++) {
            if (journal_pending_count(journal, &sim->shape->compartments[n].id) != 0) {
                sim_fail(sim, "%s has entries that wait", name_of(history, member));
            }
        }
    }
    check_views(sim);
}

/* Every fork that stands in a journal was made where it may be: one of the two took a place that was used. */
static void
check_branches(struct history *history, size_t member)
{
    struct journal *journal = replica_journal(node_of(history, member)->replica);
    uint64_t count = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);
        bool allowed = false;

        if (branch->parent == LOG_NONE) {
            continue;
        }
        count++;
        for (size_t at = *bucket_of(history, branch->log_id.bytes, branch->branch_first); at != 0;
             at = history->signings[at - 1].next) {
            const struct signing *signing = &history->signings[at - 1];

            allowed =
                allowed || (is_at(signing, branch->log_id.bytes, branch->branch_first) && signing->again);
        }
        if (!allowed) {
            sim_fail(&history->sim, "%s holds a branch that no older disk explains",
                     name_of(history, member));
        }
    }
    if (member == 0) {
        history->stats.branches = count;
    }
}

static bool
is_proved(struct history *history, size_t member, const uint8_t *log)
{
    const struct roster *roster = replica_roster(node_of(history, member)->replica);

    for (size_t n = 0; n < roster_fork_count(roster); n++) {
        if (memcmp(roster_fork_at(roster, n)->log_id.bytes, log, HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Both entries of a place are in every journal, and everybody was told of it. */
static void
check_proofs(struct history *history)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        const struct signing *one = &history->signings[n];

        for (size_t at = one->next; at != 0 && !one->lost; at = history->signings[at - 1].next) {
            const struct signing *other = &history->signings[at - 1];

            if (!is_at(other, one->log, one->seq) || other->lost) {
                continue;
            }
            for (size_t member = 0; member < history->member_count; member++) {
                if (!is_proved(history, member, one->log)) {
                    sim_fail(&history->sim, "%s was not told of a fork of %s", name_of(history, member),
                             name_of(history, one->author));
                }
            }
        }
    }
}

/* Who holds what, by the journals as they are now. */
static void
look_anew(struct history *history)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        history->signings[n].held = 0;
    }
    for (size_t member = 0; member < history->member_count; member++) {
        history->lives[member].place = 0;
        look(history, member);
    }
}

static void
settle(struct history *history)
{
    struct sim *sim = &history->sim;
    uint64_t since_ms = sim->now_ms;
    char why[300] = "";

    for (size_t n = 0; n < sim->link_count; n++) {
        heal(history, &sim->links[n]);
    }
    while (!check_settled(sim, why, sizeof why)) {
        if (sim->now_ms > since_ms + SETTLE_MS_MAX) {
            sim_fail(sim, "not settled: %s", why);
        }
        pass_for(history, 200);
    }
    sim_note(sim, "settled");
    for (size_t member = 0; member < history->member_count; member++) {
        history->lives[member].settled = true;
    }
    check_equal(history);
}

/* Where it was restored, it shows records again from here on. */
static void
confirm(struct history *history, size_t member)
{
    struct replica *replica = node_of(history, member)->replica;

    if (!replica_is_restored(replica, NULL)) {
        return;
    }
    enum err err = replica_begin(replica);
    if (err == ERR_OK) {
        replica_confirm_restored(replica);
        err = replica_commit(replica);
    }
    if (err != ERR_OK || replica_is_restored(replica, NULL)) {
        sim_fail(&history->sim, "%s: what was restored is not confirmed: %s", name_of(history, member),
                 err_code(err));
    }
}

/* --- a world --- */

static size_t
somebody(struct history *history)
{
    return chance_below(&history->sim.chance, history->member_count);
}

static size_t
somebody_else(struct history *history, size_t member)
{
    return (member + 1 + chance_below(&history->sim.chance, history->member_count - 1)) %
           history->member_count;
}

/* One thing that happens while everybody works. */
static void
happen(struct history *history)
{
    struct sim *sim = &history->sim;
    size_t member = somebody(history);

    switch (chance_below(&sim->chance, 10)) {
    case 0:
    case 1:
        keep(history, member);
        break;
    case 2:
    case 3:
    case 4:
        touch(history, member, somebody_else(history, member));
        break;
    case 5:
        save_some(history, member, true);
        break;
    case 6:
        node_crash(node_of(history, member), 10, "crash");
        wait_until_up(history, member);
        break;
    default:
        save_some(history, member, false);
    }
}

static struct kept *
choose_kept(struct history *history)
{
    struct kept *found = NULL;
    uint64_t seen = 0;

    for (size_t n = 0; n < KEPT_MAX; n++) {
        if (history->kept[n].used && chance_below(&history->sim.chance, ++seen) == 0) {
            found = &history->kept[n];
        }
    }
    return found;
}

static void
save_unseen(struct history *history, size_t member)
{
    for (uint64_t left = chance_below(&history->sim.chance, 4); left > 0; left--) {
        save_some(history, member, chance_one_in(&history->sim.chance, 8));
    }
}

static void
restore_once(struct history *history)
{
    struct sim *sim = &history->sim;
    struct kept *kept;

    split_all(history);
    for (uint64_t left = chance_between(&sim->chance, 3, 9); left > 0; left--) {
        happen(history);
    }
    while ((kept = choose_kept(history)) == NULL) {
        keep(history, somebody(history));
        save_some(history, somebody(history), false);
    }
    size_t victim = kept->member;
    put_back(history, kept);
    bool known_elsewhere =
        history->lives[victim].kind == RESTORED_DISK && knows_more(history, victim, ~(1U << victim));
    if (chance_one_in(&sim->chance, 4)) {
        kept_free(kept);
    }
    save_unseen(history, victim);
    if (chance_one_in(&sim->chance, 4)) {
        touch(history, victim, somebody_else(history, victim));
        save_unseen(history, victim);
    }
    if (chance_one_in(&sim->chance, 5)) {
        node_crash(node_of(history, victim), 10, "crash");
        wait_until_up(history, victim);
    }
    meet(history, victim, somebody_else(history, victim));
    save_unseen(history, victim);
    settle(history);
    if (known_elsewhere && !history->lives[victim].noticed) {
        sim_fail(sim, "%s was set back, met everybody and goes on as before", name_of(history, victim));
    }
    history->stats.known_elsewhere += known_elsewhere;
    confirm(history, victim);
}

static void
add_member(struct history *history, size_t node, bool absent)
{
    struct sim_node *at = &history->sim.nodes[node];

    at->gone = absent;
    if (absent) {
        return;
    }
    at->map_bytes = 1 << 20;
    at->mute = true;
    at->skew_ms = (int64_t)chance_below(&history->sim.chance, 20000) - 10000;
    node_join(at);
    for (size_t other = 0; other < history->member_count; other++) {
        history->sim.links[history->sim.link_count++] =
            (struct sim_link){ .a = (int)history->lives[other].node,
                               .b = (int)node,
                               .both = chance_one_in(&history->sim.chance, 4),
                               .latency_ms = chance_between(&history->sim.chance, 1, 200),
                               .bytes_per_s = chance_between(&history->sim.chance, 4000, 200000),
                               .window = 128 << 10 };
    }
    history->lives[history->member_count++] = (struct life){ .node = node };
}

static void
history_free(struct history *history)
{
    for (size_t n = 0; n < KEPT_MAX; n++) {
        kept_free(&history->kept[n]);
    }
    sim_free(&history->sim);
    free(history->signings);
}

static bool
has_signed(const struct history *history, size_t member)
{
    for (size_t n = 0; n < history->signing_count; n++) {
        if (history->signings[n].author == member) {
            return true;
        }
    }
    return false;
}

uint64_t
restores_run(uint64_t seed, const struct shape *shape, const char *directory, FILE *trace,
             struct restores_stats *stats_out)
{
    static struct history history;
    struct sim *sim = &history.sim;

    memset(&history, 0, sizeof history);
    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        _exit(1);
    }
    history.trace = trace;
    sim_init(sim, seed, shape, directory, trace);
    log_to(hear, &history);
    sim->step = STEPS - 1;
    bool small = chance_one_in(&sim->chance, 3);
    for (size_t n = 0; n < sim->node_count; n++) {
        bool third = n == trust_device(sim, "KEN-2");

        add_member(&history, n, n > 1 && (!third || small));
    }
    sim->nodes[0].import_step = STEPS - 1;
    settle(&history);
    /* Nobody has an anchor before the first entry. */
    for (size_t member = 0; member < history.member_count; member++) {
        while (!has_signed(&history, member)) {
            save_some(&history, member, false);
        }
    }
    while (history.stats.restored < RESTORES_A_WORLD) {
        restore_once(&history);
        history.stats.restored++;
    }
    pass_for(&history, PROOFS_MS);
    settle(&history);
    for (size_t member = 0; member < history.member_count; member++) {
        check_branches(&history, member);
    }
    check_proofs(&history);
    look_anew(&history);
    check_equal(&history);
    check_all(sim);
    *stats_out = history.stats;
    uint64_t hash = sim->hash;
    history_free(&history);
    remove_tree(directory);
    return hash;
}
