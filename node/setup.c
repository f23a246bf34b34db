#include "node/setup.h"

#include "store/base/cbor.h"
#include "sync/ceremony.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void
setup_fault_set(struct setup_fault *fault, enum err err, const char *why, const char *todo, const char *what,
                ...)
{
    va_list args;

    fault->err = err;
    va_start(args, what);
    (void)vsnprintf(fault->what, sizeof fault->what, what, args);
    va_end(args);
    (void)snprintf(fault->why, sizeof fault->why, "%s", why);
    (void)snprintf(fault->todo, sizeof fault->todo, "%s", todo);
}

static bool
refuse(struct setup_fault *fault, enum err err, const char *why, const char *todo, const char *what)
{
    setup_fault_set(fault, err, why, todo, "%s", what);
    return false;
}

static bool
path_of(char out[SETUP_PATH_BYTES], const char *directory, const char *name)
{
    return (size_t)snprintf(out, SETUP_PATH_BYTES, "%s/%s", directory, name) < SETUP_PATH_BYTES;
}

/* --- init --- */

/* A file name made of a device's: letters, digits, dots, underlines and dashes. */
static void
request_name(const char *name, char out[STATEMENT_NAME_BYTES_MAX + 16])
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = 0;

    for (; name[size] != '\0' && size < STATEMENT_NAME_BYTES_MAX; size++) {
        out[size] = (char)(strchr(kept, name[size]) != NULL ? name[size] : '-');
    }
    if (size == 0 || out[0] == '.') {
        out[0] = '-';
        size = size == 0 ? 1 : size;
    }
    memcpy(out + size, ".request", sizeof ".request");
}

static bool
check_name(const struct setup_new *options, struct setup_fault *fault)
{
    struct span name = span_text(options->name);

    for (size_t n = 0; n < name.size; n++) {
        if (name.data[n] < 0x20 || name.data[n] == 0x7f) {
            return refuse(fault, ERR_INVALID, "it holds a control character",
                          "choose another with --name NAME", "the name of this node cannot be used");
        }
    }
    if (name.size == 0 || name.size > STATEMENT_NAME_BYTES_MAX || !utf8_valid(name)) {
        return refuse(fault, ERR_INVALID, "a name is 1 to 200 bytes of UTF-8",
                      "choose another with --name NAME", "the name of this node cannot be used");
    }
    return true;
}

static bool
make_directory(const char *directory, struct setup_fault *fault)
{
    char path[SETUP_PATH_BYTES];

    if (!path_of(path, directory, "lock")) {
        return refuse(fault, ERR_INVALID, "its path is too long", "choose another place",
                      "the state directory cannot be made");
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        setup_fault_set(fault, errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO, strerror(errno),
                        "choose another place, or make it with: install -d -m 700 DIR",
                        "%s: the state directory cannot be made", directory);
        return false;
    }
    if (access(path, F_OK) == 0) {
        setup_fault_set(fault, ERR_EXISTS, "a node lives there already, and is left untouched",
                        "choose another directory, or run it: vigild run DIR",
                        "%s: not a new state directory", directory);
        return false;
    }
    return true;
}

/* The errors of files in a state directory, for people. */
static bool
refuse_file(struct setup_fault *fault, enum err err, const char *directory, const char *name)
{
    const char *todo = "try again";

    switch (err) {
    case ERR_FULL:
        todo = "make room on the disk, then try again";
        break;
    case ERR_DENIED:
        todo = "run it as the user who owns the directory";
        break;
    case ERR_CORRUPT:
        todo = "restore this file from a backup of the state directory";
        break;
    case ERR_NEWER:
        todo = "upgrade vigild";
        break;
    case ERR_IO:
        todo = "look at the disk and at the system log";
        break;
    case ERR_ABSENT:
        todo = "make a node with: vigild init DIR";
        break;
    default:
        break;
    }
    setup_fault_set(fault, err, err_text(err), todo, "%s/%s cannot be used", directory, name);
    return false;
}

static enum err
write_config(const struct setup_new *options)
{
    char path[SETUP_PATH_BYTES];
    struct buf text = { 0 };

    config_write_example(options->name, options->listen, &text);
    (void)path_of(path, options->directory, "node.conf");
    enum err err = text.failed ? ERR_MEMORY : vault_write_plain(path, buf_span(&text));
    buf_free(&text);
    return err;
}

static enum err
write_request(const struct setup_new *options, const struct replica_identity *identity,
              char request_path[SETUP_PATH_BYTES])
{
    char name[STATEMENT_NAME_BYTES_MAX + 16];
    struct request request = { .name = "" };
    struct buf file = { 0 };

    memcpy(request.sign_pk, identity->sign.public_key, sizeof request.sign_pk);
    memcpy(request.box_pk, identity->box.public_key, sizeof request.box_pk);
    memcpy(request.transport_pk, identity->transport_public, sizeof request.transport_pk);
    memcpy(request.incarnation, identity->incarnation, sizeof request.incarnation);
    (void)snprintf(request.name, sizeof request.name, "%s", options->name);
    request_write(&file, &request, &identity->sign);
    request_name(options->name, name);
    if (!path_of(request_path, options->directory, name)) {
        buf_free(&file);
        return ERR_INVALID;
    }
    enum err err = file.failed ? ERR_MEMORY : vault_write_plain(request_path, buf_span(&file));
    buf_free(&file);
    return err;
}

bool
setup_init(const struct setup_new *options, char request_path[SETUP_PATH_BYTES], struct hash *device_id_out,
           struct setup_fault *fault_out)
{
    struct setup setup = { .directory = "" };

    if (!check_name(options, fault_out) || !make_directory(options->directory, fault_out)) {
        return false;
    }
    if (options->passphrase.size == 0) {
        return refuse(fault_out, ERR_INVALID, "anybody who takes the machine could open it",
                      "give one: several words that you will remember", "the passphrase is empty");
    }
    enum err err = vault_make(options->directory, options->passphrase, &options->work, options->world);
    if (err != ERR_OK) {
        return refuse_file(fault_out, err, options->directory, "lock");
    }
    if (!setup_unlock(&setup, options->directory, options->passphrase, fault_out)) {
        return false;
    }
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);
    err = ERR_MEMORY;
    if (identity != NULL) {
        replica_identity_make(identity, options->world);
        err = replica_identity_write(options->directory, setup.storage_key, identity, options->world);
    }
    if (err == ERR_OK) {
        err = write_config(options);
    }
    if (err == ERR_OK) {
        err = write_request(options, identity, request_path);
        *device_id_out = identity->device_id;
    }
    crypto_secret_free(identity);
    setup_close(&setup);
    return err == ERR_OK || refuse_file(fault_out, err, options->directory, "device");
}

/* --- unlock --- */

bool
setup_unlock(struct setup *setup_out, const char *directory, struct span passphrase,
             struct setup_fault *fault_out)
{
    memset(setup_out, 0, sizeof *setup_out);
    if ((size_t)snprintf(setup_out->directory, sizeof setup_out->directory, "%s", directory) >=
        sizeof setup_out->directory) {
        return refuse(fault_out, ERR_INVALID, "its path is too long", "choose another place",
                      "the state directory cannot be used");
    }
    setup_out->storage_key = crypto_secret_new(sizeof *setup_out->storage_key);
    enum err err = ERR_MEMORY;
    const char *file = "lock";
    struct wrap wrap;
    if (setup_out->storage_key != NULL) {
        err = vault_open(directory, passphrase, setup_out->storage_key);
    }
    if (err == ERR_OK) {
        file = "wrap";
        err = wrap_read(directory, setup_out->storage_key, &wrap);
        crypto_wipe(&wrap, sizeof wrap);
    }
    if (err == ERR_OK) {
        return true;
    }
    setup_close(setup_out);
    if (err == ERR_PASSPHRASE) {
        setup_fault_set(fault_out, err, err_text(err), "try again; nothing was changed", "%s stays locked",
                        directory);
        return false;
    }
    return refuse_file(fault_out, err, directory, file);
}

bool
setup_change_passphrase(const char *directory, struct span old, struct span fresh,
                        const struct vault_work *work, const struct world *world,
                        struct setup_fault *fault_out)
{
    if (fresh.size == 0) {
        return refuse(fault_out, ERR_INVALID, "the new passphrase is empty",
                      "give one: several words that you will remember", "the passphrase was not changed");
    }
    enum err err = vault_change_passphrase(directory, old, fresh, work, world);
    if (err == ERR_PASSPHRASE) {
        return refuse(fault_out, err, "the old passphrase is not that of this node",
                      "try again; nothing was changed", "the passphrase was not changed");
    }
    return err == ERR_OK || refuse_file(fault_out, err, directory, "lock");
}

void
setup_close(struct setup *setup)
{
    replica_close(&setup->replica);
    crypto_secret_free(setup->storage_key);
    memset(setup, 0, sizeof *setup);
}

/* --- open --- */

enum { RESERVE_BYTES_MAX = 8 << 20, RESERVE_SHARE = 32 };

/* What is kept for an erasure on a full disk: a few MiB, and less where the whole disk is small. */
static uint64_t
reserve_bytes(const char *directory)
{
    struct statvfs disk;

    if (statvfs(directory, &disk) != 0) {
        return 0;
    }
    uint64_t share = (uint64_t)disk.f_blocks * disk.f_frsize / RESERVE_SHARE;
    return share < RESERVE_BYTES_MAX ? share : RESERVE_BYTES_MAX;
}

bool
setup_open(struct setup *setup, const struct world *world, long map_mib, struct setup_fault *fault_out)
{
    enum err err = replica_open(&setup->replica, &(struct replica_options){
                                                     .directory = setup->directory,
                                                     .world = world,
                                                     .storage_key = setup->storage_key,
                                                     .codebook = codebook_reprisals(),
                                                     .map_bytes = (size_t)map_mib << 20,
                                                     .reserve_bytes = reserve_bytes(setup->directory),
                                                 });
    const char *why = err_text(err);
    const char *todo = "look at the disk and at the system log";

    switch (err) {
    case ERR_OK:
        return true;
    case ERR_ABSENT:
        why = "this device does not belong to an organisation yet";
        todo = "have its request enrolled, then: vigild init DIR --welcome FILE";
        break;
    case ERR_BUSY:
        why = "another vigild runs there";
        todo = "stop it first, or ask it: vigil --node DIR status";
        break;
    case ERR_CORRUPT:
        todo = "keep a copy of the directory, then restore it from a backup";
        break;
    case ERR_NEWER:
        todo = "upgrade vigild";
        break;
    case ERR_DENIED:
        todo = "run it as the user who owns the directory, on a disk of this machine";
        break;
    case ERR_FULL:
        todo = "make room on the disk, then try again";
        break;
    default:
        break;
    }
    setup_fault_set(fault_out, err, why, todo, "%s: the replica cannot be opened", setup->directory);
    return false;
}

/* --- join --- */

/* Make the device a member: its identity names the organisation, and the replica is founded. Should that fail, the
 * device is as it was. */
static bool
take_welcome(struct setup *setup, const struct welcome *welcome, const struct world *world,
             struct setup_fault *fault)
{
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);

    if (identity == NULL) {
        return refuse(fault, ERR_MEMORY, err_text(ERR_MEMORY), "try again", "the device cannot join");
    }
    enum err err = replica_identity_read(setup->directory, setup->storage_key, identity);
    if (err == ERR_OK) {
        identity->org = welcome->org;
        identity->control_key = welcome->control_key;
        err = replica_identity_write(setup->directory, setup->storage_key, identity, world);
    }
    bool opened = err == ERR_OK && setup_open(setup, world, 0, fault);
    if (opened) {
        err = replica_found(setup->replica, buf_span(&welcome->statements));
    }
    if (err != ERR_OK || !opened) {
        replica_close(&setup->replica);
        memset(&identity->org, 0, sizeof identity->org);
        crypto_wipe(&identity->control_key, sizeof identity->control_key);
        enum err undone = replica_identity_write(setup->directory, setup->storage_key, identity, world);
        err = err == ERR_OK ? undone : err;
    }
    crypto_secret_free(identity);
    if (err == ERR_INVALID) {
        return refuse(fault, err, "its statements do not found an organisation with this device",
                      "ask for a new welcome file", "the welcome file cannot be used");
    }
    return err == ERR_OK ? opened : refuse_file(fault, err, setup->directory, "device");
}

static bool
refuse_join(struct setup_fault *fault, enum err err, const struct joining_fault *words, const char *path)
{
    setup_fault_set(fault, err, words->why == NULL ? err_text(err) : words->why,
                    words->todo == NULL ? "ask for the file again" : words->todo, "%s: %s", path,
                    words->what == NULL ? "the welcome file cannot be used" : words->what);
    return false;
}

/* Take in the text of a welcome file. `path` is for messages. */
static bool
join_with(struct setup *setup, struct span file, const char *path, const struct world *world,
          struct hash *org_out, struct setup_fault *fault)
{
    struct joining_fault words = { NULL, NULL, NULL };
    struct welcome welcome = { .statements = { 0 } };
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);

    if (identity == NULL) {
        return refuse(fault, ERR_MEMORY, err_text(ERR_MEMORY), "try again", "the device cannot join");
    }
    enum err err = replica_identity_read(setup->directory, setup->storage_key, identity);
    if (err != ERR_OK) {
        crypto_secret_free(identity);
        return refuse_file(fault, err, setup->directory, "device");
    }
    bool member = !hash_is_zero(&identity->org);
    if (!member) {
        err = welcome_read(file, &identity->box, &welcome, &words);
    }
    crypto_secret_free(identity);
    if (member) {
        setup_fault_set(fault, ERR_EXISTS, "a device belongs to one organisation, for good",
                        "run it: vigild run DIR; news of the organisation: vigil peer add --statements FILE",
                        "%s: this device has joined already", setup->directory);
        return false;
    }
    if (err != ERR_OK) {
        return refuse_join(fault, err, &words, path);
    }
    *org_out = welcome.org;
    bool joined = take_welcome(setup, &welcome, world, fault);
    welcome_free(&welcome);
    return joined;
}

bool
setup_join(struct setup *setup, const char *welcome_path, const struct world *world, struct hash *org_out,
           struct setup_fault *fault_out)
{
    struct buf file = { 0 };
    enum err err = vault_read_plain(welcome_path, JOINING_FILE_BYTES_MAX, &file);

    if (err != ERR_OK) {
        setup_fault_set(fault_out, err, err_text(err), "check the path of the welcome file",
                        "%s cannot be read", welcome_path);
        return false;
    }
    bool joined = join_with(setup, buf_span(&file), welcome_path, world, org_out, fault_out);
    buf_free(&file);
    return joined;
}

/* --- trial --- */

static enum err
give_passphrase(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)key_name;
    (void)fresh;
    buf_put_span(passphrase_out, *(const struct span *)self);
    return passphrase_out->failed ? ERR_MEMORY : ERR_OK;
}

/* The request of our own identity, as the ceremony wants it. */
static enum err
own_request(const struct setup *setup, struct request *request_out)
{
    struct replica_identity *identity = crypto_secret_new(sizeof *identity);

    if (identity == NULL) {
        return ERR_MEMORY;
    }
    enum err err = replica_identity_read(setup->directory, setup->storage_key, identity);
    memset(request_out, 0, sizeof *request_out);
    memcpy(request_out->sign_pk, identity->sign.public_key, sizeof request_out->sign_pk);
    memcpy(request_out->box_pk, identity->box.public_key, sizeof request_out->box_pk);
    memcpy(request_out->transport_pk, identity->transport_public, sizeof request_out->transport_pk);
    memcpy(request_out->incarnation, identity->incarnation, sizeof request_out->incarnation);
    (void)snprintf(request_out->name, sizeof request_out->name, "trial");
    statement_possession_make(request_out->possession, &identity->sign, request_out->box_pk,
                              request_out->transport_pk);
    crypto_secret_free(identity);
    return err;
}

bool
setup_trial(struct setup *setup, const char *office, struct span passphrase, const struct vault_work *work,
            const struct world *world, struct hash *org_out, struct setup_fault *fault_out)
{
    char directory[SETUP_PATH_BYTES];
    struct joining_fault words = { NULL, NULL, NULL };
    struct request request;
    struct buf welcome = { 0 };

    if (!path_of(directory, setup->directory, "org") || (mkdir(directory, 0700) != 0 && errno != EEXIST)) {
        setup_fault_set(fault_out, ERR_IO, strerror(errno), "choose another place", "%s/org cannot be made",
                        setup->directory);
        return false;
    }
    enum err err = own_request(setup, &request);
    if (err != ERR_OK) {
        return refuse_file(fault_out, err, setup->directory, "device");
    }
    struct ceremony_options options = {
        .directory = directory, .world = world, .work = work, .ask = give_passphrase, .self = &passphrase
    };
    err = ceremony_trial(&options, "Trial organisation", office, "Trial office", &request, &welcome, &words);
    bool joined = err == ERR_OK
                      ? join_with(setup, buf_span(&welcome), "the welcome file", world, org_out, fault_out)
                      : refuse_join(fault_out, err, &words, directory);
    buf_free(&welcome);
    return joined;
}
