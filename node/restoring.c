#include "node/restoring.h"

#include "node/peers.h"
#include "store/base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARK_BYTES_MAX = 256, KEY_FILE_BYTES_MAX = 4096 };

static const char mark_name[] = "restoring";
static const char mark_new[] = "VIGIL RESTORING 1\nnew\n";
static const char mark_joined[] = "VIGIL RESTORING 1\njoined\n";

/* --- words --- */

static bool
refuse(struct setup_fault *fault, enum err err, const char *about, const char *what, const char *why,
       const char *todo)
{
    setup_fault_set(fault, err, why, todo, "%s: %s", about, what);
    return false;
}

static bool
refuse_words(struct setup_fault *fault, enum err err, const char *about, const restore_fault *words)
{
    return refuse(fault, err, about, words->what == NULL ? "the backup cannot be used" : words->what,
                  words->why == NULL ? err_text(err) : words->why,
                  words->todo == NULL ? "try again" : words->todo);
}

static bool
refuse_backup(struct setup_fault *fault, enum err err, const char *path)
{
    switch (err) {
    case ERR_INVALID:
        return refuse(fault, err, path, "this is another kind of file", "it does not begin as a backup does",
                      "name the .main and the .keys file of a backup");
    case ERR_CORRUPT:
        return refuse(fault, err, path, "the backup cannot be used", "it is damaged, or was cut short",
                      "use another copy of it; nothing was changed");
    case ERR_NEWER:
        return refuse(fault, err, path, "the backup cannot be used", "it was written by a newer program",
                      "upgrade vigild");
    case ERR_ABSENT:
        return refuse(fault, err, path, "the backup cannot be read", "there is no such file",
                      "check the path; the stick may not be mounted");
    default:
        return refuse(fault, err, path, "the backup cannot be read", err_text(err),
                      "see that the file can be read, then try again");
    }
}

static bool
refuse_directory(struct setup_fault *fault, enum err err, const char *directory)
{
    return refuse(fault, err, directory, "the state directory cannot be used", err_text(err),
                  err == ERR_FULL
                      ? "make room on the disk, then start it again: it begins anew"
                      : "look at the disk and at the modes of the directory, then start it again");
}

/* --- the mark --- */

static bool
path_in(char out[SETUP_PATH_BYTES], const char *directory, const char *name)
{
    return snprintf(out, SETUP_PATH_BYTES, "%s/%s", directory, name) < SETUP_PATH_BYTES;
}

static bool
is_in(const char *directory, const char *name)
{
    char path[SETUP_PATH_BYTES];
    struct stat info;

    return path_in(path, directory, name) && lstat(path, &info) == 0;
}

bool
restoring_is_half(const char *directory)
{
    return is_in(directory, mark_name);
}

static enum err
write_mark(const char *directory, const char *text)
{
    char path[SETUP_PATH_BYTES];

    return path_in(path, directory, mark_name) ? vault_write_plain(path, span_text(text)) : ERR_INVALID;
}

/* Everything is in place: nothing of it is half any more. */
static enum err
remove_mark(const char *directory)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = at >= 0 && unlinkat(at, mark_name, 0) == 0 && fsync(at) == 0;
    if (at >= 0) {
        (void)close(at);
    }
    return done ? ERR_OK : ERR_IO;
}

/* --- open --- */

bool
restoring_open(struct restoring *restoring, const char *main_path, const char *keys_path,
               struct setup_fault *fault_out)
{
    restore_fault words = { NULL, NULL, NULL };

    memset(restoring, 0, sizeof *restoring);
    restoring->paths[0] = main_path;
    restoring->paths[1] = keys_path;
    restoring->ins[0].file = -1;
    restoring->ins[1].file = -1;
    restoring->files_in.file = -1;
    for (int n = 0; n < 2; n++) {
        enum err err = backup_in_open(&restoring->ins[n], restoring->paths[n], &restoring->headers[n]);

        if (err != ERR_OK) {
            return refuse_backup(fault_out, err, restoring->paths[n]);
        }
    }
    enum err err = restore_pair(restoring->headers, &words);
    return err == ERR_OK || refuse_words(fault_out, err, main_path, &words);
}

void
restoring_close(struct restoring *restoring)
{
    backup_in_close(&restoring->ins[0]);
    backup_in_close(&restoring->ins[1]);
    backup_in_close(&restoring->files_in);
    crypto_secret_free(restoring->file_key);
    restoring->file_key = NULL;
    buf_free(&restoring->statements);
    buf_free(&restoring->news);
}

/* Read from behind the headers, from now on. */
static enum err
begin_reading(struct restoring *restoring, bool verify, struct restore **restore_out, restore_fault *words)
{
    for (int n = 0; n < 2; n++) {
        struct stream_header header;

        backup_in_close(&restoring->ins[n]);
        enum err err = backup_in_open(&restoring->ins[n], restoring->paths[n], &header);
        if (err == ERR_OK && !ident_equal(&header.pair_id, &restoring->headers[n].pair_id)) {
            err = ERR_CORRUPT; /* somebody put another file there */
        }
        if (err != ERR_OK) {
            return err;
        }
        restoring->headers[n] = header;
    }
    if (!stream_key_fits(&restoring->headers[0], restoring->file_key) ||
        !stream_key_fits(&restoring->headers[1], restoring->file_key)) {
        return ERR_CORRUPT;
    }
    return restore_open(restore_out,
                        &(struct restore_files){ .headers = restoring->headers,
                                                 .file_key = restoring->file_key,
                                                 .main = { &restoring->ins[0], backup_in_read },
                                                 .keys = { &restoring->ins[1], backup_in_read } },
                        verify, words);
}

/* What the backup says of itself: authentic, though whether it is whole is still to be seen. */
static bool
look(struct restoring *restoring, struct setup_fault *fault)
{
    restore_fault words = { NULL, NULL, NULL };
    struct restore *restore = NULL;
    enum err err = begin_reading(restoring, false, &restore, &words);

    if (err != ERR_OK) {
        return refuse_words(fault, err, restoring->paths[0], &words);
    }
    const struct backup_about *about = restore_about(restore);
    memcpy(restoring->device, about->device, sizeof restoring->device);
    restoring->org = about->org;
    restoring->device_id = about->device_id;
    restoring->made_ms = about->made_ms;
    restoring->has_device_keys = about->has_device_keys;
    restore_close(&restore);
    return true;
}

static bool
make_file_key(struct restoring *restoring, struct setup_fault *fault)
{
    if (restoring->file_key == NULL) {
        restoring->file_key = crypto_secret_new(sizeof *restoring->file_key);
    }
    return restoring->file_key != NULL ||
           refuse(fault, ERR_MEMORY, restoring->paths[0], "the backup cannot be read", err_text(ERR_MEMORY),
                  "close other programs and try again");
}

bool
restoring_unseal(struct restoring *restoring, struct span passphrase, struct setup_fault *fault_out)
{
    if (!make_file_key(restoring, fault_out)) {
        return false;
    }
    switch (stream_open_passphrase(&restoring->headers[0], passphrase, restoring->file_key)) {
    case ERR_OK:
        return look(restoring, fault_out);
    case ERR_PASSPHRASE:
        return refuse(
            fault_out, ERR_PASSPHRASE, restoring->paths[0], "the backup stays closed",
            "the passphrase is not the one that was chosen for this backup",
            "try again; or have the office open it: vigil-org open, then vigild restore --key FILE");
    case ERR_LOCKED:
        return refuse(fault_out, ERR_LOCKED, restoring->paths[0], "the backup stays closed",
                      "no passphrase opens it", "have the office open it: vigil-org open, then --key FILE");
    case ERR_MEMORY:
        return refuse(fault_out, ERR_MEMORY, restoring->paths[0], "the backup cannot be opened here",
                      "this machine cannot give the memory that its passphrase costs",
                      "close other programs, or use a machine with more memory");
    default:
        return refuse_backup(fault_out, ERR_CORRUPT, restoring->paths[0]);
    }
}

bool
restoring_unseal_with(struct restoring *restoring, const char *key_path, const struct setup *setup,
                      struct setup_fault *fault_out)
{
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);
    restore_fault words = { NULL, NULL, NULL };
    struct buf file = { 0 };

    if (identity == NULL || !make_file_key(restoring, fault_out)) {
        crypto_secret_free(identity);
        return refuse_directory(fault_out, ERR_MEMORY, setup->directory);
    }
    enum err err = vault_read_plain(key_path, KEY_FILE_BYTES_MAX, &file);
    if (err != ERR_OK) {
        crypto_secret_free(identity);
        return refuse(fault_out, err, key_path, "the key file cannot be read", err_text(err),
                      "check the path of the file that vigil-org open wrote");
    }
    err = replica_identity_read(setup->directory, setup->storage_key, identity);
    if (err == ERR_OK) {
        err = backup_key_read(buf_span(&file), &restoring->headers[0], &identity->box, restoring->file_key,
                              &words);
    }
    buf_free(&file);
    crypto_secret_free(identity);
    if (err != ERR_OK) {
        return words.what == NULL ? refuse_directory(fault_out, err, setup->directory)
                                  : refuse_words(fault_out, err, key_path, &words);
    }
    return look(restoring, fault_out);
}

/* --- where to --- */

bool
restoring_place(const char *directory, enum restoring_place *place_out, struct setup_fault *fault_out)
{
    char path[SETUP_PATH_BYTES];
    struct buf mark = { 0 };
    struct stat info;
    bool has_lock = is_in(directory, "lock");

    if (stat(directory, &info) == 0 && !S_ISDIR(info.st_mode)) {
        return refuse(fault_out, ERR_INVALID, directory, "nothing was restored", "it is no directory",
                      "name a state directory, or one that is to be made");
    }
    if (restoring_is_half(directory)) {
        enum err err =
            path_in(path, directory, mark_name) ? vault_read_plain(path, MARK_BYTES_MAX, &mark) : ERR_INVALID;
        bool joined = span_equal(buf_span(&mark), span_text(mark_joined));

        buf_free(&mark);
        if (err != ERR_OK) {
            return refuse_directory(fault_out, err, directory);
        }
        *place_out = joined ? PLACE_JOINED : has_lock ? PLACE_HALF : PLACE_NEW;
        return true;
    }
    if (!has_lock && (is_in(directory, "main") || is_in(directory, "device"))) {
        return refuse(fault_out, ERR_EXISTS, directory, "nothing was restored",
                      "there is a part of a node in it already, and it is left untouched",
                      "choose a new directory");
    }
    *place_out = has_lock ? PLACE_JOINED : PLACE_NEW;
    return true;
}

/* --- check --- */

static bool
read_news(struct restoring *restoring, const struct key *control_key, const char *path,
          struct setup_fault *fault)
{
    restore_fault words = { NULL, NULL, NULL };
    struct buf file = { 0 };
    enum err err = vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file);

    if (err != ERR_OK) {
        return refuse(fault, err, path, "the statements cannot be read", err_text(err),
                      "check the path of the file");
    }
    err = statements_read(buf_span(&file), control_key, &restoring->news, &words);
    buf_free(&file);
    return err == ERR_OK || refuse_words(fault, err, path, &words);
}

struct known {
    struct roster *roster;
    bool failed;
};

static void
add_one(void *self, struct span signed_statement)
{
    struct known *known = self;

    known->failed |= roster_add(known->roster, signed_statement, NULL) == ROSTER_MEMORY;
}

/* By the statements of the backup and the newer ones: may the device that it is of do anything still? */
static enum err
look_at_device(struct restoring *restoring)
{
    struct known known = { .roster = roster_new(&restoring->org) };

    if (known.roster == NULL) {
        return ERR_MEMORY;
    }
    (void)joining_each(buf_span(&restoring->statements), add_one, &known);
    (void)joining_each(buf_span(&restoring->news), add_one, &known);
    enum err err = known.failed ? ERR_MEMORY : roster_settle(known.roster);
    restoring->device_counts = err == ERR_OK && roster_device(known.roster, &restoring->device_id) != NULL;
    roster_free(&known.roster);
    return err;
}

bool
restoring_check(struct restoring *restoring, const char *statements_path, restore_progress *progress,
                void *self, struct setup_fault *fault_out)
{
    restore_fault words = { NULL, NULL, NULL };
    struct restore *restore = NULL;
    enum err err = begin_reading(restoring, true, &restore, &words);

    if (err == ERR_OK) {
        err = restore_check(restore, &restoring->statements, &restoring->counts, progress, self, &words);
    }
    bool good = err == ERR_OK || refuse_words(fault_out, err, restoring->paths[0], &words);
    if (good && statements_path != NULL) {
        good = read_news(restoring, restore_control_key(restore), statements_path, fault_out);
    }
    restore_close(&restore);
    if (good) {
        err = look_at_device(restoring);
        good = err == ERR_OK || refuse_backup(fault_out, err, restoring->paths[0]);
    }
    return good;
}

/* --- evidence files --- */

static enum err
read_files(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct restoring *restoring = self;

    return backup_in_read_around(&restoring->files_in, out, room, size_out, &restoring->files_lost);
}

static enum err
rewind_files(void *self)
{
    struct restoring *restoring = self;

    backup_in_close(&restoring->files_in);
    restoring->files_lost = 0;
    return backup_in_open_plain(&restoring->files_in, restoring->files_path);
}

static bool
refuse_files(const struct restoring *restoring, struct setup_fault *fault, enum err err)
{
    if (err == ERR_INVALID) {
        return refuse(
            fault, err, restoring->files_path, "the files of the backup cannot be used",
            "nothing in it opens with the key of this backup: it is of another one, or damaged throughout",
            "give the .files that was written beside the .main; or restore without it, and the node "
            "asks its peers for the files");
    }
    return refuse(fault, err, restoring->files_path, "the files of the backup were not read to their end",
                  err == ERR_ABSENT ? "there is no such file" : err_text(err),
                  err == ERR_FULL
                      ? "the records are restored; make room: the node asks its peers for the rest"
                      : "try another copy, or restore without it: the node asks its peers for them");
}

bool
restoring_check_files(struct restoring *restoring, struct setup_fault *fault_out)
{
    const struct bundle_source source = { restoring, read_files, rewind_files };

    if (restoring->files_path == NULL) {
        return true;
    }
    enum err err =
        restore_files_check(restoring->file_key, &restoring->headers[0].pair_id, &source, &restoring->files);
    return err == ERR_OK || refuse_files(restoring, fault_out, err);
}

static bool
apply_files(struct restoring *restoring, struct replica *replica, struct setup_fault *fault)
{
    const struct bundle_source source = { restoring, read_files, rewind_files };

    if (restoring->files_path == NULL) {
        return true;
    }
    enum err err = restore_files_apply(replica, restoring->file_key, &restoring->headers[0].pair_id, &source,
                                       &restoring->files);
    return err == ERR_OK || refuse_files(restoring, fault, err);
}

/* --- a new directory --- */

/* The identity of the backup, with a new incarnation, before anything else of it is here. */
static bool
write_identity(struct restoring *restoring, const struct setup *setup, const struct world *world,
               struct setup_fault *fault)
{
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);
    restore_fault words = { NULL, NULL, NULL };
    struct restore *restore = NULL;
    enum err err = identity == NULL ? ERR_MEMORY : begin_reading(restoring, false, &restore, &words);

    if (err == ERR_OK && !restore_identity(restore, world, identity)) {
        err = ERR_CORRUPT;
    }
    restore_close(&restore);
    if (err != ERR_OK) {
        crypto_secret_free(identity);
        return refuse_words(fault, err, restoring->paths[0], &words);
    }
    err = replica_identity_write(setup->directory, setup->storage_key, identity, world);
    crypto_secret_free(identity);
    return err == ERR_OK || refuse_directory(fault, err, setup->directory);
}

bool
restoring_make(struct restoring *restoring, const char *directory, enum restoring_place place,
               struct span passphrase, const struct vault_work *work, const struct world *world,
               struct setup *setup_out, struct setup_fault *fault_out)
{
    enum err err = ERR_OK;

    assert(place != PLACE_JOINED);
    if (!restoring->device_counts) {
        return refuse(
            fault_out, ERR_DENIED, directory, "the device of the backup is not restored",
            "it was revoked, and a revoked key never returns",
            "vigild init DIR, vigil-org enrol, vigild init DIR --welcome FILE, then this again: the new "
            "device takes the backup in");
    }
    if (passphrase.size == 0) {
        return refuse(fault_out, ERR_INVALID, directory, "the passphrase is empty",
                      "anybody who takes the machine could open it",
                      "give one: several words that you will remember");
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return refuse(fault_out, errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO, directory,
                      "the state directory cannot be made", strerror(errno),
                      "choose another place, or make it with: install -d -m 700 DIR");
    }
    err = write_mark(directory, mark_new);
    if (err == ERR_OK && place == PLACE_NEW) {
        err = vault_make(directory, passphrase, work, world);
    }
    if (err != ERR_OK) {
        return refuse_directory(fault_out, err, directory);
    }
    return setup_unlock(setup_out, directory, passphrase, fault_out) &&
           write_identity(restoring, setup_out, world, fault_out);
}

/* --- taking it in --- */

struct taking {
    const char *directory;
    bool own_conf; /* the node.conf of the backup is for this directory */
    struct peers *peers;
    restore_progress *progress;
    void *self;
};

static void
tell(void *self, uint64_t done, uint64_t all)
{
    const struct taking *taking = self;

    if (taking->progress != NULL) {
        taking->progress(taking->self, done, all);
    }
}

static enum err
take_note(void *self, struct table_txn *txn, struct span name, struct span content)
{
    struct taking *taking = self;
    char path[SETUP_PATH_BYTES];

    if (span_equal(name, span_text(BACKUP_NOTE_PEERS))) {
        return peers_unpack(taking->peers, txn, content);
    }
    /* What an operator wrote here since stays. */
    if (span_equal(name, span_text(BACKUP_NOTE_CONF)) && taking->own_conf && content.size > 0 &&
        !is_in(taking->directory, BACKUP_NOTE_CONF) && path_in(path, taking->directory, BACKUP_NOTE_CONF)) {
        return vault_write_plain(path, content);
    }
    return ERR_OK;
}

/* A device of its own takes a backup in only while it holds nothing else. */
static bool
check_joined(const struct restoring *restoring, const struct setup *setup, struct setup_fault *fault)
{
    if (!hash_equal(&replica_identity(setup->replica)->org, &restoring->org)) {
        return refuse(fault, ERR_INVALID, restoring->paths[0], "the backup cannot be restored here",
                      "it is of another organisation than the device in that directory",
                      "restore it on a device of the organisation that it is of");
    }
    if (restoring_is_half(setup->directory) || journal_branch_count(replica_journal(setup->replica)) == 0) {
        return true;
    }
    return refuse(fault, ERR_EXISTS, setup->directory, "nothing was restored",
                  "its replica holds entries already, and is left untouched",
                  "restore into a new directory; what that lacks comes from its peers");
}

static bool
apply(struct restoring *restoring, struct setup *setup, struct taking *taking, struct setup_fault *fault)
{
    restore_fault words = { NULL, NULL, NULL };
    struct restore *restore = NULL;
    enum err err = begin_reading(restoring, false, &restore, &words);

    if (err == ERR_OK) {
        err = restore_apply(restore, setup->replica,
                            &(struct restore_options){ .statements = buf_span(&restoring->statements),
                                                       .news = buf_span(&restoring->news),
                                                       .self = taking,
                                                       .progress = tell,
                                                       .note = take_note },
                            &restoring->counts, &words);
    }
    restore_close(&restore);
    return err == ERR_OK || refuse_words(fault, err, restoring->paths[0], &words);
}

bool
restoring_apply(struct restoring *restoring, struct setup *setup, enum restoring_place place,
                const struct world *world, restore_progress *progress, void *self,
                struct setup_fault *fault_out)
{
    const struct config no_config = { .name = NULL };
    struct taking taking = {
        .directory = setup->directory, .own_conf = place != PLACE_JOINED, .progress = progress, .self = self
    };

    if (!setup_open(setup, world, 0, fault_out) ||
        (place == PLACE_JOINED && !check_joined(restoring, setup, fault_out))) {
        return false;
    }
    taking.peers = peers_new(&no_config);
    enum err err = taking.peers == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK && place == PLACE_JOINED) {
        err = write_mark(setup->directory, mark_joined);
    }
    bool done = err == ERR_OK ? apply(restoring, setup, &taking, fault_out) &&
                                    apply_files(restoring, setup->replica, fault_out)
                              : refuse_directory(fault_out, err, setup->directory);
    peers_free(&taking.peers);
    if (done) {
        err = remove_mark(setup->directory);
        done = err == ERR_OK || refuse_directory(fault_out, err, setup->directory);
    }
    return done;
}
