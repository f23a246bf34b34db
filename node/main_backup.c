/* main_backup.c - vigild backup and vigild restore: of a node that does not run. */
#include "node/main.h"

#include "node/backup.h"
#include "node/restoring.h"
#include "node/sealing.h"
#include "store/shelf.h"

#include <stdio.h>
#include <string.h>

/* --- arguments --- */

/* For those commands that take files beside a directory. */
static error_t
parse_files(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case OPTION_WITH_DEVICE_KEYS:
        arguments->with_device_keys = true;
        return 0;
    case OPTION_FILES:
        arguments->evidence = text;
        return 0;
    case OPTION_STATEMENTS:
        arguments->statements = text;
        return 0;
    case OPTION_KEY:
        arguments->key = text;
        return 0;
    case OPTION_VERIFY:
        arguments->verify = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory != NULL && arguments->file_count < FILES_MAX) {
            arguments->files[arguments->file_count] = text;
            arguments->file_count++;
            return 0;
        }
        return parse_option(key, text, state);
    default:
        return parse_option(key, text, state);
    }
}

static const struct argp_option backup_options[] = {
    { "with-device-keys", OPTION_WITH_DEVICE_KEYS, NULL, 0,
      "Put the secret keys of the device into it too, so that it can be restored without enrolling a machine "
      "anew",
      0 },
    { "files", OPTION_FILES, "WHICH", 0,
      "Which evidence files go along: all, if this is left out, or none: a restored node asks its peers for "
      "them",
      1 },
    { "key-memory", OPTION_KEY_MEMORY, "MIB", 0,
      "Memory that opening the backup takes; without this it is measured", 9 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the passphrase of the node and the new one of the backup from descriptor N, a line each; without "
      "this "
      "they are asked for at the terminal",
      9 },
    { 0 },
};

const struct argp backup_argp = {
    backup_options,
    parse_files,
    "DIR NAME",
    "Write NAME.main and NAME.keys, and NAME.files with the evidence files, if there are any: a backup of a "
    "node "
    "that does not run.\v"
    "They open with a passphrase that you choose, and with the key of the office. Keep them apart: without "
    ".keys, "
    ".main opens to nobody's reading, and destroying .keys closes it for good. A node that runs is asked: "
    "vigil backup "
    "make.\n\n"
    "Example:\n"
    "  vigild backup /var/lib/vigil /media/stick/ken-2026-03-01",
    NULL,
    NULL,
    NULL
};

static const struct argp_option restore_options[] = {
    { "statements", OPTION_STATEMENTS, "FILE", 0,
      "Newer statements of the organisation (organisation.statements): they take effect before any record",
      0 },
    { "key", OPTION_KEY, "FILE", 0,
      "Open it with the file that vigil-org open wrote for this device, instead of a passphrase", 0 },
    { "verify", OPTION_VERIFY, NULL, 0,
      "Read both files to the end and check every signature; change nothing", 1 },
    { "key-memory", OPTION_KEY_MEMORY, "MIB", 0,
      "Memory that unlocking the new node takes; without this it is measured", 9 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the passphrase of the backup, then that of the node, from descriptor N, a line each; without "
      "this they are "
      "asked for at the terminal",
      9 },
    { 0 },
};

const struct argp restore_argp = {
    restore_options,
    parse_files,
    "DIR NAME.main NAME.keys [NAME.files]\n--verify NAME.main NAME.keys [NAME.files]",
    "Restore a backup into DIR.\v"
    "DIR is new, if the backup was made with --with-device-keys; it then has that device, under a new "
    "passphrase. Or DIR "
    "is a device of its own that has joined (vigild init, vigil-org enrol, vigild init --welcome) and holds "
    "nothing yet. "
    "A restored node shows no record before it has compared with a peer, or taken in a bundle of one that is "
    "younger than the backup, since what was erased after the "
    "backup was made "
    "must not be read again; if no peer can be reached: vigil backup accept.\n\n"
    "Examples:\n"
    "  vigild restore --verify ken.main ken.keys\n"
    "  vigild restore /var/lib/vigil ken.main ken.keys --statements organisation.statements",
    NULL,
    NULL,
    NULL
};

/* --- backup --- */

static bool
begin_backup(const struct arguments *arguments, struct replica *replica, const struct config *config,
             const struct stream_recipient *recipient, struct backup_task **task_out,
             struct setup_fault *fault)
{
    struct peers *peers = peers_new(config);
    struct table_txn *txn = NULL;
    enum err err = peers == NULL ? ERR_MEMORY : replica_begin_read(replica, &txn);

    if (err == ERR_OK) {
        err = peers_load(peers, txn);
        replica_end_read(replica, &txn);
    }
    if (err != ERR_OK) {
        setup_fault_set(fault, err, err_text(err), "run: vigild verify DIR",
                        "the peers of the node cannot be read");
        peers_free(&peers);
        return false;
    }
    bool begun = backup_task_begin(
        task_out,
        &(struct backup_task_options){ .replica = replica,
                                       .peers = peers,
                                       .directory = arguments->directory,
                                       .path = arguments->files[0],
                                       .recipient = recipient,
                                       .with_device_keys = arguments->with_device_keys,
                                       .without_files = arguments->evidence != NULL &&
                                                        strcmp(arguments->evidence, "none") == 0 },
        fault);
    peers_free(&peers);
    return begun;
}

static int
make_backup(const struct arguments *arguments, struct replica *replica, const struct config *config,
            const struct stream_recipient *recipient)
{
    struct backup_task *task = NULL;
    struct setup_fault fault;
    int status = STATUS_DONE;
    bool good = begin_backup(arguments, replica, config, recipient, &task, &fault);

    while (good && backup_task_stage(task) != BACKUP_DONE) {
        good = backup_task_step(task, &fault);
        struct backup_progress progress = backup_task_progress(task);
        print_progress(NULL, progress.done, progress.all);
    }
    if (!good) {
        backup_task_close(&task);
        return complain(&fault);
    }
    struct backup_progress progress = backup_task_progress(task);
    (void)printf(
        "main           %s.main\nkeys           %s.keys\nentries        %llu\nopens with     the passphrase "
        "that was chosen%s\n",
        arguments->files[0], arguments->files[0], (unsigned long long)progress.done,
        backup_task_is_for_office(task) ? ", or the key of the office" : "");
    if (backup_task_has_files(task)) {
        (void)printf("files          %s.files: %llu, %.1f MB\n", arguments->files[0],
                     (unsigned long long)progress.files, (double)progress.file_bytes / 1e6);
    } else if (progress.files_here > 0) {
        (void)printf("files          none of the %llu that are here, %.1f MB\n",
                     (unsigned long long)progress.files_here, (double)progress.file_bytes_here / 1e6);
    }
    if (progress.files_left > 0) {
        (void)printf("left out       %llu files: damaged here, or too large\n",
                     (unsigned long long)progress.files_left);
    }
    if (progress.file_chunks_lost > 0) {
        setup_fault_set(
            &fault, ERR_CORRUPT, "files are damaged here",
            "vigil blob verify says of which file; keep this backup, and let a peer fill the gaps",
            "%llu parts of files could not be read and are not in it",
            (unsigned long long)progress.file_chunks_lost);
        status = complain(&fault);
    }
    if (progress.lost > 0) {
        setup_fault_set(&fault, ERR_CORRUPT, "rows of the replica are damaged",
                        "vigild verify names them; keep this backup, and let a peer fill the gaps",
                        "%llu entries could not be read and are not in it",
                        (unsigned long long)progress.lost);
        status = complain(&fault);
    }
    backup_task_close(&task);
    return status;
}

int
do_backup(struct arguments *arguments, struct real_world *world)
{
    struct node node;
    struct stream_recipient recipient;
    int status = STATUS_DONE;
    char of[SETUP_TEXT_BYTES];

    if (arguments->file_count != 1) {
        (void)complain_of(ERR_INVALID, "nothing was backed up",
                          "it is not said what the backup is to be called", "vigild backup DIR NAME");
        return STATUS_USAGE;
    }
    if (arguments->evidence != NULL && strcmp(arguments->evidence, "none") != 0 &&
        strcmp(arguments->evidence, "all") != 0) {
        (void)complain_of(ERR_INVALID, "nothing was backed up", "--files is neither all nor none",
                          "leave it out, or say --files none");
        return STATUS_USAGE;
    }
    if (!open_node(arguments, &world->world, SANDBOX_ROLES, &node, &status)) {
        return status;
    }
    (void)snprintf(of, sizeof of, "the backup %s", arguments->files[0]);
    enum err err = sealing_ask(&arguments->ask, of, arguments->key_memory_mib, &recipient);
    status = err == ERR_OK
                 ? make_backup(arguments, node.setup.replica, &node.config, &recipient)
                 : complain_of(err, "nothing was backed up",
                               err == ERR_INVALID ? "the passphrase of the backup is empty or too long"
                                                  : err_text(err),
                               "give one at the terminal, or as the second line of --passphrase-fd N");
    close_node(&node);
    return status;
}

/* --- restore --- */

/* The passphrase of the backup. */
static bool
unseal(struct arguments *arguments, struct restoring *restoring, struct setup_fault *fault)
{
    struct buf passphrase = { 0 };
    char of[SETUP_TEXT_BYTES];

    (void)snprintf(of, sizeof of, "the backup %s", restoring->paths[0]);
    enum err err = ask_passphrase(&arguments->ask, of, false, &passphrase);
    bool good = err == ERR_OK;
    if (good) {
        good = restoring_unseal(restoring, buf_span(&passphrase), fault);
    } else {
        setup_fault_set(fault, err, "there is no terminal, no line, or it was cancelled",
                        "run it at a terminal, or use --passphrase-fd N",
                        "the passphrase of the backup could not be read");
    }
    buf_wipe(&passphrase);
    return good;
}

/* Unlock DIR, or make it; and open the backup, whichever comes first. */
static bool
prepare(struct arguments *arguments, struct restoring *restoring, enum restoring_place place,
        struct buf *passphrase, struct setup *setup, struct setup_fault *fault, int *exit_out)
{
    bool own = place == PLACE_JOINED;

    if (arguments->key != NULL && !own) {
        setup_fault_set(fault, ERR_ABSENT, "a key file is written for a device that has joined",
                        "vigild init DIR, vigil-org enrol, vigild init DIR --welcome FILE, then this again",
                        "%s: there is no device that the key file could be for", arguments->directory);
        return false;
    }
    if (arguments->key == NULL && !unseal(arguments, restoring, fault)) {
        return false;
    }
    if (!own && !restoring->has_device_keys) {
        setup_fault_set(fault, ERR_ABSENT, "it was made without --with-device-keys",
                        "vigild init DIR, vigil-org enrol, vigild init DIR --welcome FILE, then this again",
                        "%s: the backup holds no device, and there is none in %s", restoring->paths[0],
                        arguments->directory);
        return false;
    }
    if (!get_passphrase(arguments, place == PLACE_NEW, passphrase, exit_out)) {
        fault->err = ERR_OK; /* it was said */
        return false;
    }
    if (own && !setup_unlock(setup, arguments->directory, buf_span(passphrase), fault)) {
        return false;
    }
    return arguments->key == NULL || restoring_unseal_with(restoring, arguments->key, setup, fault);
}

/* How many evidence files are here, and how many are still to come. */
static void
print_files(const struct restoring *restoring, struct replica *replica)
{
    const struct bundle_reading *reading = &restoring->files.reading;
    struct shelf_totals totals = { 0 };
    struct table_txn *txn = NULL;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        shelf_total(txn, &totals);
        replica_end_read(replica, &txn);
    }
    if (totals.whole_count + totals.wanted_count > 0) {
        (void)printf("files          %llu here, %llu not here: they are asked for from peers\n",
                     (unsigned long long)totals.whole_count, (unsigned long long)totals.wanted_count);
    }
    if (restoring->files_path != NULL && !restoring->files.whole) {
        (void)printf("note           the files of the backup are damaged at %llu places, or were cut short\n",
                     (unsigned long long)reading->damaged_places);
    }
}

static void
print_restored(const struct arguments *arguments, const struct restoring *restoring,
               enum restoring_place place, struct replica *replica)
{
    const struct restore_counts *counts = &restoring->counts;

    (void)printf("restored       %llu entries of the node \"%s\"\n", (unsigned long long)counts->entries,
                 restoring->device);
    if (counts->refused > 0) {
        (void)printf("left out       %llu runs that this device may not hold\n",
                     (unsigned long long)counts->refused);
    }
    print_files(restoring, replica);
    print_digests(replica);
    if (counts->differing > 0) {
        (void)printf("note           %llu compartments are not as they were: newer statements count, or this "
                     "device may "
                     "hold less\n",
                     (unsigned long long)counts->differing);
    }
    if (place == PLACE_JOINED && restoring->has_device_keys) {
        (void)printf("note           the device keys in the backup are not used: this device has its own\n");
    }
    (void)printf("\nThen: vigild run %s\nNo record is shown before it has compared with a peer, or with a "
                 "bundle of one. If none can "
                 "be reached: "
                 "vigil backup accept\n",
                 arguments->directory);
}

static bool
restore_into(struct arguments *arguments, struct restoring *restoring, const struct world *world,
             int *exit_out, struct setup_fault *fault)
{
    struct buf passphrase = { 0 };
    struct setup setup = { .directory = "" };
    enum restoring_place place;
    struct vault_work work = { .passes = 1, .memory_bytes = 0 };

    bool good = restoring_place(arguments->directory, &place, fault) &&
                prepare(arguments, restoring, place, &passphrase, &setup, fault, exit_out) &&
                restoring_check(restoring, arguments->statements, print_progress, NULL, fault) &&
                restoring_check_files(restoring, fault);
    if (good && place != PLACE_JOINED) {
        if (place == PLACE_NEW) {
            measure(&work, arguments->key_memory_mib);
        }
        good = restoring_make(restoring, arguments->directory, place, buf_span(&passphrase), &work, world,
                              &setup, fault);
    }
    buf_wipe(&passphrase);
    if (good) {
        good = restoring_apply(restoring, &setup, place, world, print_progress, NULL, fault);
    }
    if (good) {
        print_restored(arguments, restoring, place, setup.replica);
    }
    setup_close(&setup);
    return good;
}

static bool
verify_backup(struct arguments *arguments, struct restoring *restoring, struct setup_fault *fault)
{
    if (!unseal(arguments, restoring, fault) ||
        !restoring_check(restoring, NULL, print_progress, NULL, fault) ||
        !restoring_check_files(restoring, fault)) {
        return false;
    }
    if (restoring->files_path != NULL && !restoring->files.whole) {
        setup_fault_set(fault, ERR_CORRUPT, "what is damaged of them costs its own place",
                        "keep it, and make another backup; or let peers fill the gaps after a restore",
                        "%s: the files are damaged at %llu places, or were cut short", restoring->files_path,
                        (unsigned long long)restoring->files.reading.damaged_places);
        return false;
    }
    (void)printf("whole          %llu entries in %llu runs, %llu statements, of the node \"%s\"\n"
                 "device keys    %s\n",
                 (unsigned long long)restoring->counts.entries, (unsigned long long)restoring->counts.chunks,
                 (unsigned long long)restoring->counts.statements, restoring->device,
                 restoring->has_device_keys ? "yes" : "no");
    if (restoring->files_path != NULL) {
        (void)printf("files          %llu, in %llu parts\n", (unsigned long long)restoring->files.names,
                     (unsigned long long)restoring->files.parts.held);
    }
    return true;
}

int
do_restore(struct arguments *arguments, const struct world *world)
{
    const char *first = arguments->verify ? arguments->directory : arguments->files[0];
    const char *second = arguments->verify ? arguments->files[0] : arguments->files[1];
    struct restoring restoring;
    struct setup_fault fault = { .err = ERR_OK };
    int status = STATUS_DONE;

    size_t needed = arguments->verify ? 1 : 2;
    if (arguments->file_count < needed || arguments->file_count > needed + 1) {
        (void)complain_of(ERR_INVALID, "nothing was restored",
                          "a backup is two files, and both are needed; a third one holds the evidence files",
                          arguments->verify ? "vigild restore --verify NAME.main NAME.keys [NAME.files]"
                                            : "vigild restore DIR NAME.main NAME.keys [NAME.files]");
        return STATUS_USAGE;
    }
    bool good = restoring_open(&restoring, first, second, &fault);
    restoring.files_path = arguments->file_count > needed ? arguments->files[needed] : NULL;
    good = good && (arguments->verify ? verify_backup(arguments, &restoring, &fault)
                                      : restore_into(arguments, &restoring, world, &status, &fault));
    if (!good && fault.err != ERR_OK) {
        status = complain(&fault);
    }
    restoring_close(&restoring);
    return status;
}
