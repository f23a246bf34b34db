/* main_verify.c - vigild verify and rebuild: look into a replica that does not run, and mend it. */
#include "node/main.h"

#include "node/probe.h"
#include "store/proof.h"
#include "sync/salvage.h"
#include "sync/scrub.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { REPAIR_ROWS = 4096 };

/* --- verify --- */

static enum err
proof_begin(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    return replica_borrow(self, main_txn, keys_txn);
}

static void
proof_abandon(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    replica_give_back(self, main_txn, keys_txn);
}

static void
print_finding(void *self, enum proof_part part, const char *what)
{
    (void)self;
    (void)printf("finding        %s: %s\n", proof_part_name(part), what);
}

void
print_progress(void *self, uint64_t done, uint64_t all)
{
    static uint64_t shown;
    uint64_t percent = all == 0 ? 100 : done * 100 / all;

    (void)self;
    if (isatty(STDERR_FILENO) == 1 && percent != shown) {
        shown = percent;
        (void)fprintf(stderr, "\r%3llu %%%s", (unsigned long long)percent, percent == 100 ? "\n" : "");
    }
}

void
print_digests(struct replica *replica)
{
    size_t room = roster_compartment_count(replica_roster(replica));
    struct replica_compartment *held = calloc(room + 1, sizeof *held);
    size_t count = held == NULL ? 0 : replica_compartments(replica, held, room);

    for (size_t n = 0; n < count && n < room; n++) {
        char hex[2 * sizeof held[n].digest + 1];

        bytes_hex(hex, span_of(held[n].digest, sizeof held[n].digest));
        (void)printf("digest         %s  %llu entries, %llu records  %s\n", hex,
                     (unsigned long long)held[n].entries, (unsigned long long)held[n].records, held[n].name);
    }
    free(held);
}

/* What a look at everything came to. */
struct look {
    struct replica *replica;
    bool tell;        /* each finding */
    uint64_t entries; /* damaged, or their signatures or keys */
    uint64_t derived; /* rows that are made anew */
    uint64_t places;  /* of the order of arrival, among them */
    uint64_t others;  /* rows that nothing here is made from */
    uint64_t files;   /* pieces */
    bool lost;        /* rows are gone with their pages, or may be */
};

static const char *
compartment_name(struct replica *replica, const struct ident *id)
{
    const struct roster_compartment *compartment = roster_compartment(replica_roster(replica), id);

    return compartment == NULL ? "a compartment that is not known here" : compartment->name;
}

static void
look_found(void *self, const struct scrub_finding *finding)
{
    struct look *look = self;

    if (finding->stage == SCRUB_FILES) {
        look->files++;
        if (look->tell) {
            (void)printf("damaged        piece %u of file %s\n", finding->chunk,
                         hash_short(finding->file).text);
        }
        return;
    }
    if (finding->stage == SCRUB_ENTRIES) {
        look->entries++;
        if (look->tell) {
            (void)printf("damaged        %s %u:%llu, of device %s, in %s\n",
                         finding->signature_only ? "signature of entry" : "entry", finding->log_no,
                         (unsigned long long)finding->seq, hash_short(finding->device_id).text,
                         compartment_name(look->replica, finding->compartment));
        }
        return;
    }
    bool derived = finding->table == TABLE_CHG || finding->table == TABLE_KEYS_RECORD ||
                   (finding->table >= TABLE_REC && finding->table <= TABLE_PEND);
    look->places += finding->table == TABLE_CHG;
    look->derived += derived;
    look->others += !derived && finding->table != TABLE_KEYS_PAYLOAD;
    if (look->tell) {
        (void)printf("damaged        a row of table %d%s\n", (int)finding->table,
                     derived ? ", which is made anew from the journal" : "");
    }
}

/* Go once through all of it, in turns that are given up unless `mend`. */
static enum err
look_at_all(struct look *look, bool mend)
{
    const struct scrub_options options = { .mend = mend, .self = look, .found = look_found };
    struct scrub *scrub = NULL;
    enum err err = scrub_open(&scrub, look->replica);
    bool ended = false;

    if (err != ERR_OK) {
        return err;
    }
    scrub_restart(scrub);
    while (err == ERR_OK && !ended) {
        err = replica_begin(look->replica);
        if (err != ERR_OK) {
            break;
        }
        if (replica_turn_is_narrow(look->replica)) {
            err = replica_abort(look->replica);
            err = err == ERR_OK ? ERR_FULL : err;
            break;
        }
        ended = scrub_step(scrub, REPAIR_ROWS, &options);
        if (ended && mend) {
            scrub_keep(scrub);
        }
        err = mend ? replica_commit(look->replica) : replica_abort(look->replica);
    }
    scrub_close(&scrub);
    return err;
}

static enum err
mend_places(struct replica *replica)
{
    uint64_t count = 0;
    enum err err = replica_begin(replica);

    if (err != ERR_OK) {
        return err;
    }
    err = scrub_mend_places(replica, &count);
    if (err != ERR_OK) {
        enum err after = replica_abort(replica);
        return after == ERR_OK ? err : after;
    }
    (void)printf("mended         %llu places in the order of arrival\n", (unsigned long long)count);
    return replica_commit(replica);
}

/* Prove it; *findings_out: how many. */
static enum err
prove(struct replica *replica, struct proof *proof, uint64_t *findings_out)
{
    const struct proof_options options = { .self = replica,
                                           .begin = proof_begin,
                                           .abandon = proof_abandon,
                                           .finding = print_finding,
                                           .progress = print_progress,
                                           .journal = replica_journal(replica),
                                           .codebook = replica_codebook(replica),
                                           .source = replica_source(replica) };
    enum err err = proof_run(&options, proof);

    *findings_out = 0;
    for (int part = 0; part < PROOF_PART_COUNT; part++) {
        *findings_out += proof->findings[part];
    }
    return err;
}

static uint64_t
noted(struct replica *replica)
{
    struct scrub_status status = { .noted = 0 };
    struct table_txn *txn = NULL;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        scrub_read_status(txn, &status);
        replica_end_read(replica, &txn);
    }
    return status.noted;
}

static void
print_checked(struct replica *replica, const struct proof *proof)
{
    struct replica_unnamed unnamed;

    print_digests(replica);
    for (int part = 0; part < PROOF_PART_COUNT; part++) {
        (void)printf("checked        %llu %s\n", (unsigned long long)proof->checked[part],
                     proof_part_name((enum proof_part)part));
    }
    if (replica_count_unnamed(replica, &unnamed) == ERR_OK && unnamed.count > 0) {
        (void)printf("note           %llu files in blobs/ that no record names, %llu bytes: left by a crash, "
                     "opened by "
                     "nothing; the node removes them when it runs\n",
                     (unsigned long long)unnamed.count, (unsigned long long)unnamed.bytes);
    }
}

/* It is kept for vigil doctor and for the audit log; what was found is the same without that. */
static void
note_verified(struct replica *replica, uint64_t found, uint64_t left)
{
    enum err err = replica_note_verified(replica, found, left);

    if (err != ERR_OK) {
        (void)fprintf(stderr, "vigild: when this was checked could not be kept: %s\n", err_text(err));
    }
}

/* What is damaged, by its names: after findings, and with --full, which reads the files too. */
static enum err
name_damage(const struct arguments *arguments, struct look *look, uint64_t *findings)
{
    if (*findings == 0 && !arguments->full) {
        return ERR_OK;
    }
    look->tell = true;
    enum err err = look_at_all(look, false);
    /* What the proof found already is not counted twice. */
    if (*findings == 0) {
        *findings = look->entries + look->derived + look->others;
    }
    *findings += look->files;
    return err;
}

static void
print_plan(const struct look *look)
{
    (void)printf(
        "\nrepair         notes %llu entries as damaged here: each comes again from a peer, and is put in "
        "its place\n",
        (unsigned long long)look->entries);
    (void)printf("repair         makes the lists, sums and indexes of every record anew from the journal\n");
    if (look->files > 0) {
        (void)printf("repair         has %llu pieces of evidence files come again from a peer\n",
                     (unsigned long long)look->files);
    }
    if (look->others > 0) {
        (void)printf("repair         leaves %llu rows that nothing here can be made from: restore a backup\n",
                     (unsigned long long)look->others);
    }
}

static int
fail_check(enum err err)
{
    return complain_of(err, "the check could not be finished", err_text(err),
                       "look at the disk, then try again");
}

static int
repair(struct look *found, uint64_t before, struct proof *proof)
{
    struct look look = { .replica = found->replica };
    uint64_t findings = 0;
    enum err err = look_at_all(&look, true);

    /* An entry that no place names would be in no view. */
    err = err == ERR_OK ? mend_places(look.replica) : err;
    err = err == ERR_OK ? replica_rebuild(look.replica, print_progress, NULL) : err;
    if (err != ERR_OK) {
        return complain_of(err, "the repair could not be finished", err_text(err),
                           "start it again: it goes on where it was");
    }
    /* How it is now, for vigil doctor. */
    struct look after = { .replica = found->replica };
    err = look_at_all(&after, true);
    if (err != ERR_OK) {
        return fail_check(err);
    }
    uint64_t wait = noted(look.replica);
    (void)printf("repaired       views and indexes are new; %llu entries wait for a peer\n\n",
                 (unsigned long long)wait);
    err = prove(look.replica, proof, &findings);
    if (err != ERR_OK) {
        return fail_check(err);
    }
    note_verified(look.replica, before, findings);
    if (findings == 0 && wait == 0 && found->files == 0 && !found->lost) {
        (void)printf("no findings\n");
        return STATUS_DONE;
    }
    (void)printf("\n%llu findings are left\n", (unsigned long long)findings);
    return complain_of(
        ERR_CORRUPT, "not all of it could be made whole here",
        found->lost         ? "what was lost is named above"
        : found->others > 0 ? "some rows are made from nothing that is here"
                            : "what is damaged is to come again from a peer",
        "vigild run DIR, and let it meet a peer; vigil doctor says when nothing is waited for; "
        "what no peer holds is in a backup");
}

static int
verify(struct arguments *arguments, struct replica *replica)
{
    struct look look = { .replica = replica };
    struct proof proof;
    uint64_t findings = 0;
    enum err err = prove(replica, &proof, &findings);

    if (err == ERR_OK) {
        err = name_damage(arguments, &look, &findings);
    }
    if (err != ERR_OK) {
        return fail_check(err);
    }
    print_checked(replica, &proof);
    if (arguments->full) {
        (void)printf("checked        every piece of the evidence files\n");
    }
    if (findings > 0 && arguments->repair) {
        print_plan(&look);
        if (!arguments->dry_run) {
            return repair(&look, findings, &proof);
        }
    }
    if (!arguments->dry_run) {
        note_verified(replica, findings, findings);
    }
    if (findings > 0) {
        (void)printf("\n%llu findings\n", (unsigned long long)findings);
        return complain_of(
            ERR_CORRUPT, "the replica is not as it must be", "the findings above",
            "vigild verify DIR --repair makes anew what is derived, and has the rest come again "
            "from peers");
    }
    (void)printf("\nno findings\n");
    return STATUS_DONE;
}

/* --- pages that are damaged --- */

static const char *const part_names[PART_COUNT] = { "main/", "keys/" };

/* What is lost of tables that nothing here is made from, and who has it. */
static const struct {
    enum table_id table;
    const char *what;
} kept[] = {
    { TABLE_ENT, "entries: they come again from a peer, if one has them" },
    { TABLE_CERT,
      "statements of the organisation: a peer sends what came through it; the rest is in a news file "
      "(vigil peer add --statements FILE) or a backup" },
    { TABLE_PEER, "addresses of peers: vigil peer add gives them again" },
    { TABLE_META, "notes of this node: it shows no record before it has met a peer" },
    { TABLE_BLOBM, "notes about evidence files: those that are lacking come again from a peer" },
    { TABLE_KEYS_PAYLOAD, "keys of records: they come again from a peer, if one has them" },
    { TABLE_KEYS_EPOCH, "keys of epochs: they are opened again" },
};

static void
print_lost(const struct salvage *part)
{
    for (size_t n = 0; n < sizeof kept / sizeof kept[0]; n++) {
        if (part->lost[kept[n].table] > 0) {
            (void)printf("lost           %llu %s\n", (unsigned long long)part->lost[kept[n].table],
                         kept[n].what);
        }
    }
}

/* True if rows are lost that are not made anew here, or nobody can tell whether some are: the entries among them are noted, where their log is
 * here. */
static bool
has_lost(const struct salvage *part)
{
    bool lost = part->cut_short;

    for (size_t n = 0; n < sizeof kept / sizeof kept[0]; n++) {
        lost = lost || part->lost[kept[n].table] > 0;
    }
    return lost;
}

/* What the pages of one environment are, and what can be read of it; in the words of a finding. */
static void
print_pages(const struct salvage *part, const char *name)
{
    (void)printf("finding        pages of %s: %llu of %llu are damaged", name,
                 (unsigned long long)part->damaged, (unsigned long long)part->pages);
    if (part->apart > 0) {
        (void)printf(", and nothing leads to %llu others", (unsigned long long)part->apart);
    }
    (void)printf("%s\n", part->cut_short ? "; the file is shorter than it was" : "");
    if (!part->sure) {
        (void)printf("finding        pages of %s: which of them are in use cannot be told\n", name);
    }
    (void)printf("readable       %llu rows of %s\n", (unsigned long long)part->taken, name);
    print_lost(part);
}

static const char salvage_todo[] = "copy the folder, then: vigild verify DIR --repair takes out what can be "
                                   "read, and has the rest come again "
                                   "from peers; or restore a backup";

/* It cannot be read, or not be written. */
static int
fail_salvage(enum err err)
{
    if (err == ERR_CORRUPT) {
        return complain_of(
            err, "pages of the database are damaged",
            "nothing of this node can be read in its file: it is another's, or all of it is gone",
            "have the disk examined, then restore a backup; what peers hold comes from them");
    }
    return complain_of(err, "the damaged database cannot be read", err_text(err),
                       err == ERR_FULL   ? "make room on the disk for a second file as large"
                       : err == ERR_BUSY ? "stop the vigild that runs there first"
                                         : "look at the disk, then try again; nothing was replaced");
}

/* Say what is damaged; with --repair take out what can be read. *exit_out, unless it is to go on: the exit status. */
static bool
salvage(struct arguments *arguments, const struct world *world, struct node *node,
        const bool damaged[PROBE_PARTS], bool *lost_out, int *exit_out)
{
    bool apply = arguments->repair && !arguments->dry_run;
    struct replica_salvaged salvaged;
    enum err err =
        replica_salvage(&(struct replica_salvage){ .directory = arguments->directory,
                                                   .world = world,
                                                   .storage_key = node->setup.storage_key,
                                                   .damaged = { damaged[PROBE_MAIN], damaged[PROBE_KEYS] },
                                                   .apply = apply },
                        &salvaged);

    for (int part = 0; part < PART_COUNT; part++) {
        if (damaged[part] && salvaged.errs[part] == ERR_OK && salvaged.parts[part].pages > 0) {
            print_pages(&salvaged.parts[part], part_names[part]);
            *lost_out = *lost_out || has_lost(&salvaged.parts[part]);
        }
    }
    if (err != ERR_OK) {
        *exit_out = fail_salvage(err);
        return false;
    }
    if (arguments->repair) {
        (void)printf("\nrepair         takes these rows into new files, in the place of the damaged ones\n");
        if (damaged[PROBE_MAIN]) {
            (void)printf("repair         closes the logs of this device, and begins new ones\n");
        }
        (void)printf("repair         follows all orders to erase once more, over all that was read\n");
    }
    if (arguments->repair && salvaged.guarded) {
        (void)printf(
            "repair         leaves a node that shows no record before it has compared with a peer: an order "
            "to erase may be lost; if no peer can be reached: vigil backup accept\n");
    }
    if (!apply) {
        *exit_out =
            complain_of(ERR_CORRUPT, "pages of the database are damaged", "the findings above", salvage_todo);
    }
    return apply;
}

/* Go on with what was taken out. */
static int
repair_salvaged(struct replica *replica, bool lost)
{
    struct look look = { .replica = replica, .tell = true, .lost = lost };
    struct proof proof;
    enum err err = look_at_all(&look, false);

    if (err != ERR_OK) {
        return fail_check(err);
    }
    return repair(&look, 1 + look.entries + look.derived + look.others, &proof);
}

/* --- both --- */

static int
rebuild(struct arguments *arguments, struct replica *replica)
{
    enum err err = replica_rebuild(replica, print_progress, NULL);

    (void)arguments;
    if (err != ERR_OK) {
        return complain_of(err, "the rebuild could not be finished", err_text(err),
                           "start it again: it goes on where it was");
    }
    print_digests(replica);
    (void)printf("\nviews and indexes are new\n");
    return STATUS_DONE;
}

static int
work_rebuild(struct arguments *arguments, struct real_world *world)
{
    struct node node;
    int status = STATUS_DONE;

    if (!open_node(arguments, &world->world, SANDBOX_CHECK, &node, &status)) {
        return status;
    }
    status = rebuild(arguments, node.setup.replica);
    close_node(&node);
    return status;
}

/* True if a replica whose pages are as they must be cannot be opened: a row does not verify that others are made from. */
static bool
lacks_rows(const struct arguments *arguments, const struct world *world, struct node *node)
{
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);
    struct setup_fault fault = { .err = ERR_OK };
    bool known = identity != NULL &&
                 replica_identity_read(arguments->directory, node->setup.storage_key, identity) == ERR_OK;

    crypto_secret_free(identity);
    bool lacks =
        known && !setup_open(&node->setup, world, node->config.map_mib, &fault) && fault.err == ERR_CORRUPT;
    if (lacks) {
        (void)printf(
            "finding        the replica cannot be opened: a row that others are made from is damaged\n");
    }
    return lacks;
}

static int
work_verify(struct arguments *arguments, struct real_world *world)
{
    bool damaged[PROBE_PARTS] = { false };
    int status = STATUS_DONE;
    bool lost = false;
    struct node node;

    if (!unlock_node(arguments, &world->world, SANDBOX_CHECK, &node, damaged, &status)) {
        return status;
    }
    bool salvages = damaged[PROBE_MAIN] || damaged[PROBE_KEYS];
    if (!salvages && lacks_rows(arguments, &world->world, &node)) {
        salvages = damaged[PROBE_MAIN] = damaged[PROBE_KEYS] = true;
    }
    if (salvages && !salvage(arguments, &world->world, &node, damaged, &lost, &status)) {
        close_node(&node);
        return status;
    }
    /* Whatever else is wrong is said by opening it once more. */
    if (node.setup.replica == NULL && !open_unlocked(&world->world, &node, &status)) {
        return status;
    }
    status = salvages ? repair_salvaged(node.setup.replica, lost) : verify(arguments, node.setup.replica);
    close_node(&node);
    return status;
}

/* In a child, which damaged pages may end: who waits tells what it was. */
static int
do_offline(struct arguments *arguments, struct real_world *world,
           int (*work)(struct arguments *arguments, struct real_world *world))
{
    struct setup_fault fault;
    int status = STATUS_DONE;

    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        return complain_of(ERR_IO, "no process can be started", strerror(errno), "look at the system log");
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(work(arguments, world));
    }
    return probe_await(child, arguments->directory, &status, &fault) ? status : complain(&fault);
}

int
do_verify(struct arguments *arguments, struct real_world *world)
{
    if (arguments->dry_run && !arguments->repair) {
        (void)complain_of(ERR_INVALID, "--dry-run says what --repair would do", "--repair was not said",
                          "vigild verify DIR --repair --dry-run");
        return STATUS_USAGE;
    }
    return do_offline(arguments, world, work_verify);
}

int
do_rebuild(struct arguments *arguments, struct real_world *world)
{
    return do_offline(arguments, world, work_rebuild);
}
